"""By chat: what an agent writes in his Telegram is judged as his mail would be, once the account is shown to be his.

The account is made known once, by a code that was mailed to him, and counts by its number, never by a name
(PROMISES.md, "Attacks"). A reply to a message of ours is what Reply is in a
mail program: it carries that message's token and refers to it. What he forwards is somebody else's and no word of
his; what he edits has been acted on already.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from channels.message import Address, Medium, Scheme
from routing.desk import Decision, Desk, Incoming, domain_of
from routing.holding import tell_plainly
from routing.policy import Agent, ChannelPolicy
from routing.reasons import because
from routing.records import Enrolment
from routing.tokens import BIND, TokenRecord, find_tokens, judge, kind_of, reference_message_id, reply_address
from routing.words import Evidence, Outcome, Speaker

CODE_COUNTS = timedelta(days=2)  # as long a mailed code may be used
BOUND = "bound"  # told to who has bound an account
#: Marks of the reader (`channels/telegram_reading.py`) -> what he is told.
_NO_WORDS = {"edited": "edited_here", "forwarded": "forwarded_here"}
_MARK = "x-telegram"


def as_his_mail(incoming: Incoming, agent: Agent, channel: ChannelPolicy, token: str) -> Incoming:
    """The same as a mail of his to the desk. `token`: of the message of ours that he replied to, "" without."""
    said = incoming.message
    to: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    if token and channel.token_in == "references":  # noqa: S105
        references = (reference_message_id(token, domain_of(channel)),)
    elif token:
        to = (reply_address(channel, token),)
    marks = [value for name, value in said.source_headers if name.lower() == _MARK]
    return replace(
        incoming,
        channel=channel.name,
        medium=Medium.EMAIL,
        envelope=replace(incoming.envelope, rcpt_to=to),
        proven=Evidence.TELEGRAM_ID,
        told_off=next((_NO_WORDS[mark] for mark in marks if mark in _NO_WORDS), ""),
        message=replace(
            said,
            sender=Address(scheme=Scheme.MAIL, value=agent.addresses[0], display_name=said.sender.display_name),
            references=references,
            auto_submitted="",
        ),
    )


def codes_in(incoming: Incoming) -> tuple[str, ...]:
    """The codes that somebody sends to make his account known: `/start CODE`, or the code alone."""
    if incoming.medium is not Medium.TELEGRAM or incoming.message.source_headers:
        return ()
    words = incoming.message.text.removeprefix("/start").strip()
    return tuple(one for one in find_tokens(words) if one == words.lower())


def on_binding(incoming: Incoming, desk: Desk) -> Decision | None:
    """What becomes of such a code; None where it is none of ours."""
    for code in codes_in(incoming):
        record = desk.tokens.get(code)
        if record is not None and kind_of(record) == BIND:
            return _bound(incoming, desk, record)
    return None


def _bound(incoming: Incoming, desk: Desk, record: TokenRecord) -> Decision:
    agent = desk.policy.agents.get(record.agent)
    verdict = judge(
        desk.keyring,
        record,
        speaker_agent=record.agent,
        ticket_closed_at=None,
        now=desk.now,
        closed_days=desk.policy.closed_token_days,
        purposes=frozenset({BIND}),
    )
    # A group has a number below zero: there, everybody would be he.
    is_person = incoming.message.sender.value.isdigit()
    if agent is None or not verdict.ok or record.used_at is not None or not is_person:
        why = "group" if not is_person else "used" if record.used_at else verdict.reason or "left"
        desk.tell("binding_refused", message=incoming.id, agent=record.agent, channel=incoming.channel, why=why)
        reasons = (because("binding_refused", why=why),)
        return Decision(outcome=Outcome.IGNORED, speaker=Speaker.MACHINE, reasons=reasons)
    desk.changes.used_tokens.append(record.token)
    desk.tokens[record.token] = replace(record, used_at=desk.now)
    desk.put_enrolment(
        Enrolment(
            agent=agent.name,
            address=incoming.sender,
            channel=incoming.channel,
            evidence=Evidence.TELEGRAM_ID.value,
            client="Telegram",
            first_seen_at=desk.now,
            last_seen_at=desk.now,
            message=incoming.id,
        )
    )
    desk.tell("agent_bound", message=incoming.id, agent=agent.name, channel=incoming.channel)
    mail = letters_by(desk)
    if mail is not None:
        at_desk = replace(incoming, channel=mail.name)
        tell_plainly(at_desk, desk, agent, BOUND, detail=incoming.message.sender.display_name[:80])
    reasons = (because("bound", agent=agent.name),)
    return Decision(outcome=Outcome.NOTED, speaker=Speaker.AGENT, agent=agent.name, reasons=reasons)


def letters_by(desk: Desk) -> ChannelPolicy | None:
    """The mail channel by which agents are written to that are written to by no ticket."""
    return next((c for c in desk.policy.channels.values() if c.medium == Medium.EMAIL), None)
