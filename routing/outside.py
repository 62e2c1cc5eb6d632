"""Outside: an agent's mail that answers none of ours and yet concerns a customer.

He passes on a mail that had come to him (`passing_on`), or he writes to a customer with the desk in copy (`past_us`):
he begins something, or answers past us. Evidence of who he is is all it has (PROMISES.md, G8), so nothing of it is sent
to anybody: it is taken down.
"""

from __future__ import annotations

from channels.message import Medium, Role
from routing.desk import Decision, Desk, Incoming
from routing.identity import SpeakerJudgement
from routing.outsiders import outsiders
from routing.passing_on import pass_on
from routing.past_us import to_customer
from routing.recipients import is_inside
from routing.tokens import find_canaries
from routing.words import Evidence


def outside(incoming: Incoming, desk: Desk, judged: SpeakerJudgement) -> Decision | None:
    """What becomes of it; None where it is none of these, or its author has no evidence but his tokens."""
    if judged.agent is None or judged.evidence in (None, Evidence.TOKEN_ONLY):
        return None
    if incoming.medium is not Medium.EMAIL or incoming.failure:
        return None
    people = outsiders(incoming.message, desk.policy)
    if _is_passed_on(incoming, desk):
        return pass_on(incoming, desk, judged, judged.agent)
    return to_customer(incoming, desk, judged, judged.agent, people) if people else None


def _is_passed_on(incoming: Incoming, desk: Desk) -> bool:
    """It looks like a forward, and it is for us: nobody from outside stands in To.

    A mail of ours is not passed on to us: its words are internal, and would be taken for a customer's.
    """
    message, policy = incoming.message, desk.policy
    if message.passed_on is None or find_canaries(message.text_full):
        return False
    if any(desk.keys[i][1] for i in message.in_reply_to if i in desk.keys):
        return False
    to = {r.address.key() for r in message.recipients if r.role is Role.TO}
    if any(one.key() in to for one in outsiders(message, policy)):
        return False
    is_in_cc = any(r.role is Role.CC and is_inside(r.address.value, policy) for r in message.recipients)
    is_in_to = any(r.role is Role.TO and is_inside(r.address.value, policy) for r in message.recipients)
    return is_in_to or not (is_in_cc and outsiders(message, policy))
