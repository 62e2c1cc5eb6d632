"""The chain: what becomes of one message. Filters, then who speaks, then what he may do.

Pure: a message and the desk in, a decision out; the desk has taken note of it for the next one.
"""

from __future__ import annotations

from channels.message import Medium
from routing.absence_hints import looks_absent, note_absence
from routing.answering import from_agent, unproven_agent
from routing.by_chat import on_binding
from routing.calling import on_call
from routing.desk import Decision, Desk, Incoming, reason_data
from routing.enrolling import note_evidence, on_enrolment
from routing.filters import MAX_ABSENCE_TEXT, Screen, ScreenFacts, ScreenVerdict, screen
from routing.identity import speaker
from routing.implied import note_implied
from routing.junk import answers_us, as_junk, is_trusted
from routing.opening import from_customer
from routing.past_us import from_sent_folder
from routing.probing import on_probe, passed
from routing.reasons import because
from routing.reporting import on_report
from routing.tokens import tokens_in_recipients
from routing.words import Outcome, Speaker
from routing.wrong_account import note_wrong_account

#: Machine-made mail that nobody need look at: an absence note, a newsletter. The rest of it opens a ticket (G5).
UNSEEN = ("auto-replied", "bulk", "junk")


def decide(incoming: Incoming, desk: Desk) -> Decision:
    """Decide about one message, after those before it."""
    desk.came_at = incoming.received_at
    if incoming.message.call is not None:
        return on_call(incoming, desk)
    copy = _copy(incoming, desk)
    if copy is not None:
        return copy
    if incoming.envelope.is_sent:
        return from_sent_folder(incoming, desk)
    probe = on_probe(incoming, desk)
    if probe is not None:
        return probe
    bound = on_binding(incoming, desk)
    if bound is not None:
        return bound
    screened = screen(incoming.message, _screen_facts(incoming, desk))
    if screened.verdict is ScreenVerdict.OWN:
        return _ignored(incoming, desk, screened, Speaker.SYSTEM)
    judged = speaker(
        incoming.message,
        desk.policy,
        desk.channel(incoming.channel),
        verdict=screened.verdict,
        authenticated_as=incoming.envelope.authenticated_as,
        known=desk.known_domains,
        is_stripped=passed(desk.probes.get(incoming.channel), desk.now),
        proven=incoming.proven,
    )
    if screened.verdict is ScreenVerdict.BOUNCE:
        return on_report(incoming, desk, screened.reasons)
    if screened.verdict is ScreenVerdict.AUTOMATIC and (judged.claims_agent or _is_unseen(incoming, desk)):
        # An agent's absence note reaches no customer; whose it is, is a hint for the supervisor.
        if judged.claims_agent and looks_absent(incoming.message, screened):
            note_absence(incoming, desk, desk.policy.agents[judged.claims_agent])
        return _ignored(incoming, desk, screened, Speaker.MACHINE, judged.claims_agent or None)
    junk = as_junk(incoming, desk, judged)
    if junk is not None:
        return junk
    note_evidence(incoming, desk, judged)
    enrolment = on_enrolment(incoming, desk, judged)
    if enrolment is not None:
        return enrolment
    if judged.agent is not None:
        return from_agent(incoming, desk, judged)
    if judged.claims_agent:
        return unproven_agent(incoming, desk, judged)
    reasons = (*screened.reasons, *judged.reasons)
    if tokens_in_recipients(incoming.message, incoming.envelope.rcpt_to):
        desk.tell("token_misused", message=incoming.id, channel=incoming.channel)
        note_wrong_account(incoming, desk)
    if incoming.via_form:
        reasons = (*reasons, because("via_form"))
    if incoming.envelope.is_junk:
        reasons = (*reasons, because("from_junk"))
    if incoming.failure:
        reasons = (*reasons, because("unparseable", what=incoming.failure[:200]))
    decision = from_customer(
        incoming,
        desk,
        judged.standing,
        reasons,
        may_acknowledge=screened.may_acknowledge and not incoming.failure and not incoming.envelope.is_junk,
    )
    note_implied(incoming, desk, decision)
    return decision


def _is_unseen(incoming: Incoming, desk: Desk) -> bool:
    message = incoming.message
    if message.is_absent_by_words and (len(message.text) > MAX_ABSENCE_TEXT or not answers_us(incoming, desk)):
        # An absence note answers a mail that we sent, and is short. A customer who is away writes to us as well.
        return False
    if message.auto_submitted == "newsletter":
        # A customer's program may put a way to unsubscribe under all his mail.
        return incoming.sender not in desk.contacts and not answers_us(incoming, desk)
    return message.auto_submitted.startswith(UNSEEN)


def _screen_facts(incoming: Incoming, desk: Desk) -> ScreenFacts:
    is_mail = incoming.medium is Medium.EMAIL and incoming.proven is None
    known = desk.keys.get(incoming.message.message_id)
    desk.peers[incoming.sender] = desk.peers.get(incoming.sender, 0) + 1
    return ScreenFacts(
        envelope_from=incoming.envelope.mail_from if is_mail and incoming.envelope.rcpt_to else None,
        peer_messages=desk.peers[incoming.sender],
        peer_cap=desk.policy.peer_cap if is_mail else 10**9,
        loop_keys=desk.keyring.secrets,
        is_own_message_id=bool(is_mail and known and known[1]),
        own_addresses=frozenset(c.address.lower() for c in desk.policy.channels.values() if c.address),
        goes_with_ours=_goes_with_ours(incoming, desk),
        is_trusted=is_trusted(incoming, desk),
    )


def _goes_with_ours(incoming: Incoming, desk: Desk) -> bool:
    """It names mails of our tickets, as all that we send does, and answers none of ours, as people do."""
    answered, named = incoming.message.in_reply_to, incoming.message.references
    if any(desk.keys[i][1] for i in answered if i in desk.keys):
        return False
    return any(i in desk.keys for i in (*answered, *named))


def _copy(incoming: Incoming, desk: Desk) -> Decision | None:
    """The same mail in another folder or mailbox: one message, seen twice."""
    key = incoming.message.content_key
    if not key:
        return None
    known = desk.content.get(key)
    if known is None or known[0] == incoming.id:
        return None
    original, ticket = known
    desk.tell("message_copied", message=incoming.id, ticket=ticket, copy_of=original, channel=incoming.channel)
    return Decision(outcome=Outcome.COPY, speaker=Speaker.SYSTEM, ticket=ticket, copy_of=original)


def _ignored(incoming: Incoming, desk: Desk, screened: Screen, speaker: Speaker, agent: str | None = None) -> Decision:
    """Recorded, never answered."""
    found = next((desk.keys[i][0] for i in incoming.message.in_reply_to if i in desk.keys), None)
    if found is not None and screened.verdict is ScreenVerdict.OWN:
        # Our own mail comes home under the id that a relay put for ours: answers will refer to that. A copied mark
        # teaches no more than an answer would: the id finds the ticket, and gives nobody a right.
        desk.put_key(incoming.message.message_id, found, is_ours=False)
    desk.tell(
        "message_ignored",
        message=incoming.id,
        ticket=found,
        agent=agent,
        channel=incoming.channel,
        verdict=screened.verdict.value,
        reasons=reason_data(screened.reasons),
    )
    return Decision(outcome=Outcome.IGNORED, speaker=speaker, ticket=found, agent=agent, reasons=screened.reasons)


def note_decided(incoming: Incoming, decision: Decision, desk: Desk) -> None:
    """Let the next message of the batch see that this one has been decided."""
    key = incoming.message.content_key
    if key and decision.copy_of is None and decision.outcome is not Outcome.JUNK:
        desk.content[key] = (incoming.id, decision.ticket)
    if decision.speaker is Speaker.AGENT and decision.agent in desk.policy.agents:
        desk.note_act(decision.agent or "")
    if decision.speaker is Speaker.CUSTOMER and decision.ticket is not None:
        desk.spoken[decision.ticket] = (incoming.id, incoming.received_at)
