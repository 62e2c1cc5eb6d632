"""Junk: what lay in the provider's junk folder, and what comes from senders whom an agent called junk.

Of somebody we know, or in answer to a mail of ours, it is brought in and the agent is told where it lay. The rest opens
nothing and is counted: a person sees the list once a day. An agent's word on a sender goes before the provider's; what
he said of mail that nobody vouched for counts against no verified mail.
"""

from __future__ import annotations

from channels.message import Medium
from routing.desk import Decision, Desk, Incoming, reason_data
from routing.identity import SpeakerJudgement
from routing.reasons import Reason, because
from routing.tokens import tokens_in_recipients
from routing.words import Outcome, SpamMark, Speaker, Standing, TicketState


def as_junk(incoming: Incoming, desk: Desk, judged: SpeakerJudgement) -> Decision | None:
    """The decision that it is junk; None for what a person must see."""
    why = _why(incoming, desk, judged)
    if why is None:
        return None
    desk.tell("junk_seen", message=incoming.id, channel=incoming.channel, reasons=reason_data((why,)))
    contact = desk.contacts.get(incoming.sender)
    return Decision(
        outcome=Outcome.JUNK,
        speaker=Speaker.CUSTOMER,
        customer=contact.customer if contact else None,
        reasons=(why,),
    )


def _why(incoming: Incoming, desk: Desk, judged: SpeakerJudgement) -> Reason | None:
    if incoming.medium is not Medium.EMAIL or incoming.known_ticket is not None:
        return None
    lay_in_junk = incoming.envelope.is_junk
    if judged.agent is not None or judged.claims_agent:
        # An agent's own mail may be misjudged; then it has both his proof and an address that we gave him.
        is_his = judged.agent is not None and bool(tokens_in_recipients(incoming.message, incoming.envelope.rcpt_to))
        return because("junk_folder") if lay_in_junk and not is_his else None
    contact = desk.contacts.get(incoming.sender)
    mark = contact.spam_mark if contact else None
    is_marked = mark == SpamMark.SPAM or (mark == SpamMark.SPAM_UNPROVEN and judged.standing is not Standing.VERIFIED)
    if is_marked:
        return None if _goes_on(incoming, desk, judged) else because("marked_sender")
    if lay_in_junk and contact is None and not answers_us(incoming, desk):
        return because("junk_folder")
    return None


def answers_us(incoming: Incoming, desk: Desk) -> bool:
    """Whether it refers to a mail that we sent: our ids cannot be guessed."""
    named = (*incoming.message.in_reply_to, *incoming.message.references)
    return any(desk.keys[one][1] for one in named if one in desk.keys)


def _goes_on(incoming: Incoming, desk: Desk, judged: SpeakerJudgement) -> bool:
    """A marked sender, verified, goes on with an open ticket of his own: somebody is in the middle of it."""
    contact = desk.contacts[incoming.sender]
    if judged.standing is not Standing.VERIFIED:
        return False
    numbers = {desk.keys[i][0] for i in (*incoming.message.in_reply_to, *incoming.message.references) if i in desk.keys}
    mine = (desk.tickets[n] for n in numbers if n in desk.tickets)
    return any(t.customer == contact.customer and t.state is not TicketState.CLOSED for t in mine)


def is_trusted(incoming: Incoming, desk: Desk) -> bool:
    """An agent has said that this sender is no junk."""
    contact = desk.contacts.get(incoming.sender)
    return contact is not None and contact.spam_mark == SpamMark.NOT_SPAM
