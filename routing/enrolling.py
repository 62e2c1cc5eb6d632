"""Enrolling: an agent answers his welcome, and his real mails show what proves that they are his.

Whatever a mail shows is only noted: what counts is what the configuration names, and nothing here changes that (G8).
A reply to the welcome from another address is never his, whatever else it carries: he hears of it at his own mailbox,
and the operator in `intake check`. Nothing that answers a welcome goes to a customer.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from channels.message import Medium, Scheme
from routing.by_chat import CODE_COUNTS
from routing.desk import Decision, Desk, Incoming, domain_of, mail_id
from routing.enrolled import NONE, Enrolled, Stage, enrolled, programs_in
from routing.holding import may_tell
from routing.identity import SpeakerJudgement, shown_by
from routing.policy import Agent, ChannelPolicy
from routing.probing import passed
from routing.programs import program_of
from routing.reasons import because
from routing.records import Enrolment, NewOutbox
from routing.threads import refers_to
from routing.tokens import (
    CONFIRM,
    CONSULT,
    ENROL,
    REPLY,
    Keyring,
    TokenRecord,
    is_canary_of,
    judge,
    kind_of,
    mint,
    purpose_of_binding,
    purpose_of_enrolment,
    reference_message_id,
    tokens_in_recipients,
    tokens_in_references,
)
from routing.words import Evidence, Outcome, Purpose, Speaker

WELCOME_FOR = timedelta(days=30)  # that long a welcome can be answered
SEEN_AGAIN_AFTER = timedelta(days=1)  # what is known already is written anew only then
MAX_PROGRAMS = 6  # mail programs kept of one address and one kind of evidence
MAX_ELSEWHERE = 8  # addresses kept that are not an agent's own
NO_TICKET = 0  # of a welcome's token, and of its canary

#: What a letter of this kind is told from others by: `recipe["code"]`.
LETTER = "enrolment"
WELCOME = "welcome"


def welcome(
    agent: Agent, channel: ChannelPolicy, keyring: Keyring, serial: int, now: datetime
) -> tuple[TokenRecord, NewOutbox]:
    """The mail that asks an agent to answer twice, and the token that it is answered by."""
    purpose = purpose_of_enrolment(agent.name)
    token = mint(keyring, ticket=NO_TICKET, agent=agent.name, purpose=purpose, serial=serial)
    record = TokenRecord(
        token=token,
        ticket=NO_TICKET,
        agent=agent.name,
        purpose=purpose,
        serial=serial,
        issued_at=now,
        expires_at=now + WELCOME_FOR,
    )
    root = root_of(keyring, channel, token)
    return record, _letter(None, channel, agent, root, {"result": WELCOME, "token": token, "root": root})


def binding_code(agent: Agent, keyring: Keyring, serial: int, now: datetime) -> TokenRecord:
    """The code in a welcome by which his Telegram account is made known, once and soon."""
    purpose = purpose_of_binding(agent.name)
    token = mint(keyring, ticket=NO_TICKET, agent=agent.name, purpose=purpose, serial=serial)
    return TokenRecord(
        token=token,
        ticket=NO_TICKET,
        agent=agent.name,
        purpose=purpose,
        serial=serial,
        issued_at=now,
        expires_at=now + CODE_COUNTS,
    )


def root_of(keyring: Keyring, channel: ChannelPolicy, token: str) -> str:
    """The Message-ID of a welcome: every letter about it refers to it, and so does every answer."""
    if channel.token_in == "references":  # noqa: S105
        return reference_message_id(token, domain_of(channel))
    return mail_id(keyring, domain_of(channel), LETTER, token)


def _letter(
    source: int | None, channel: ChannelPolicy, agent: Agent, this_id: str, facts: dict[str, object]
) -> NewOutbox:
    return NewOutbox(
        ticket=None,
        source=source,
        channel=channel.name,
        address=f"{Scheme.MAIL.value}:{agent.addresses[0]}",
        purpose=Purpose.TOLD,
        agent=agent.name,
        recipe={"message": source, "code": LETTER, **facts},
        mail_id=this_id,
    )


# ---- what his mails show


def note_evidence(incoming: Incoming, desk: Desk, judged: SpeakerJudgement) -> None:
    """Remember what a mail shows that is an agent's, or says so.

    One that shows nothing is remembered only if it carries a token of his: anybody can write his address into From,
    and must not be able to have it said that the agent's own mails prove nothing.
    """
    name = judged.agent.name if judged.agent else judged.claims_agent
    agent = desk.policy.agents.get(name)
    if agent is None or incoming.medium is not Medium.EMAIL or incoming.proven is not None:
        return
    shown = shown_by(incoming.message, incoming.envelope.authenticated_as, agent, desk.channel(incoming.channel))
    is_proof = any(kind is not Evidence.EXCHANGE_INTERNAL or _is_stripped(desk, incoming.channel) for kind in shown)
    if is_proof or _bears_his_token(incoming, desk, agent):
        _note(incoming, desk, agent, [kind.value for kind in shown])


def _is_stripped(desk: Desk, channel: str) -> bool:
    return passed(desk.probes.get(channel), desk.now)


_HIS = frozenset({REPLY, CONFIRM, CONSULT, ENROL})


def _bears_his_token(incoming: Incoming, desk: Desk, agent: Agent) -> bool:
    return any(
        judge(
            desk.keyring,
            record,
            speaker_agent=agent.name,
            ticket_closed_at=None,
            now=desk.now,
            closed_days=desk.policy.closed_token_days,
            purposes=_HIS,
        ).ok
        for record in _presented(incoming, desk)
    )


def _presented(incoming: Incoming, desk: Desk) -> Iterable[TokenRecord]:
    channel = desk.channel(incoming.channel)
    presented = list(tokens_in_recipients(incoming.message, incoming.envelope.rcpt_to))
    if channel.token_in == "references":  # noqa: S105
        presented += tokens_in_references(incoming.message, domain_of(channel))
    return [desk.tokens[token] for token in presented if token in desk.tokens]


def _note(incoming: Incoming, desk: Desk, agent: Agent, kinds: list[str]) -> None:
    """Write down what is new, and what was last written longer ago than a day."""
    address = str(incoming.message.sender)
    program = program_of(incoming.message).name
    known = {(r.address, r.channel, r.evidence): r for r in desk.enrolments.get(agent.name, ())}
    for kind in kinds or [NONE]:
        row = known.get((address, incoming.channel, kind))
        if row is None:
            row = Enrolment(
                agent=agent.name,
                address=address,
                channel=incoming.channel,
                evidence=kind,
                client=program,
                first_seen_at=desk.now,
                last_seen_at=desk.now,
                message=incoming.id,
            )
            is_own = incoming.message.sender.value.lower() in agent.addresses
            desk.tell(
                "evidence_seen",
                message=incoming.id,
                agent=agent.name,
                channel=incoming.channel,
                evidence=kind,
                own_address=is_own,
            )
        elif program not in programs_in(row) or desk.now - row.last_seen_at > SEEN_AGAIN_AFTER:
            others = [name for name in programs_in(row) if name != program]
            client = "; ".join([*others, program][-MAX_PROGRAMS:])
            row = replace(row, client=client, last_seen_at=desk.now, message=incoming.id)
        else:
            continue
        desk.put_enrolment(row)


# ---- answers to a welcome


def on_enrolment(incoming: Incoming, desk: Desk, judged: SpeakerJudgement) -> Decision | None:
    """What becomes of an answer to a welcome; None where it is none."""
    record = _answered(incoming, desk)
    if record is None:
        return None
    agent = desk.policy.agents[record.agent]
    if incoming.message.sender.value.lower() not in agent.addresses:
        return _from_elsewhere(incoming, desk, agent, record)
    is_stripped = {name: _is_stripped(desk, name) for name in desk.policy.channels}
    so_far = enrolled(agent, desk.enrolments.get(agent.name, ()), lambda name: is_stripped.get(name, False))
    shown = shown_by(incoming.message, incoming.envelope.authenticated_as, agent, desk.channel(incoming.channel))
    result = _result(agent, judged, shown)
    facts: dict[str, object] = {"evidence": [kind.value for kind in shown]}
    if judged.evidence is not None and judged.agent is not None and judged.agent.name == agent.name:
        facts = {"evidence": [judged.evidence.value], "missing": list(so_far.missing)}
        _tell_enrolled(incoming, desk, agent, judged.evidence, so_far)
    else:
        _tell_not_counted(incoming, desk, agent, result.value)
    told = may_tell(desk, agent, is_proven=result in (Stage.PROVEN, Stage.BY_TOKEN))
    return _told(incoming, desk, agent, record, result.value, facts) if told else _done(incoming, agent, result.value)


def _answered(incoming: Incoming, desk: Desk) -> TokenRecord | None:
    """The welcome that a mail answers: a good token of one, and a reference to it. Address books keep addresses."""
    if not desk.tokens or incoming.medium is not Medium.EMAIL or incoming.message.from_count != 1:
        return None
    for record in _presented(incoming, desk):
        if kind_of(record) != ENROL or record.agent not in desk.policy.agents:
            continue
        verdict = judge(
            desk.keyring,
            record,
            speaker_agent=record.agent,
            ticket_closed_at=None,
            now=desk.now,
            closed_days=desk.policy.closed_token_days,
            purposes=frozenset({ENROL}),
        )
        root = root_of(desk.keyring, desk.channel(incoming.channel), record.token)
        is_canary = lambda found: is_canary_of(desk.keyring, found, NO_TICKET)  # noqa: E731
        if verdict.ok and refers_to(incoming.message, NO_TICKET, {root: NO_TICKET}, is_canary):
            return record
    return None


def _result(agent: Agent, judged: SpeakerJudgement, shown: tuple[Evidence, ...]) -> Stage:
    if judged.agent is not None and judged.agent.name == agent.name:
        return Stage.BY_TOKEN if judged.evidence is Evidence.TOKEN_ONLY else Stage.PROVEN
    if Evidence.EXCHANGE_INTERNAL in shown and Evidence.EXCHANGE_INTERNAL in agent.evidence:
        return Stage.UNPROBED
    return Stage.OTHER if shown else Stage.BARE


def _from_elsewhere(incoming: Incoming, desk: Desk, agent: Agent, record: TokenRecord) -> Decision:
    """Somebody answers his welcome from an address that is not his: never accepted, whatever vouches for it."""
    sender = incoming.message.sender
    own = {f"{Scheme.MAIL.value}:{address}" for address in agent.addresses}
    others = {row.address for row in desk.enrolments.get(agent.name, ()) if row.address not in own}
    if str(sender) in others or len(others) < MAX_ELSEWHERE:
        pretended = replace(agent, addresses=(sender.value.lower(),), login="")
        channel = desk.channel(incoming.channel)
        # Not whether the tenant's header is there: of a strange address it says nothing that could be of use.
        shown = shown_by(incoming.message, incoming.envelope.authenticated_as, pretended, channel)
        _note(incoming, desk, agent, [kind.value for kind in shown if kind is not Evidence.EXCHANGE_INTERNAL])
    _tell_not_counted(incoming, desk, agent, "elsewhere")
    if not may_tell(desk, agent, is_proven=False):
        return _done(incoming, agent, "elsewhere")
    return _told(incoming, desk, agent, record, "elsewhere", {"address": sender.value})


def _tell_enrolled(incoming: Incoming, desk: Desk, agent: Agent, evidence: Evidence, so_far: Enrolled) -> None:
    desk.tell(
        "agent_enrolled",
        message=incoming.id,
        agent=agent.name,
        channel=incoming.channel,
        evidence=evidence.value,
        device=program_of(incoming.message).device.value,
        missing=list(so_far.missing),
    )


def _tell_not_counted(incoming: Incoming, desk: Desk, agent: Agent, why: str) -> None:
    desk.tell("enrolment_not_counted", message=incoming.id, agent=agent.name, channel=incoming.channel, why=why)


def _told(
    incoming: Incoming, desk: Desk, agent: Agent, record: TokenRecord, result: str, facts: dict[str, object]
) -> Decision:
    """He hears at his own mailbox what this one has shown; that mail, too, can be answered."""
    channel = desk.channel(incoming.channel)
    program = program_of(incoming.message)
    facts |= {
        "result": result,
        "token": record.token,
        "root": root_of(desk.keyring, channel, record.token),
        "configured": sorted(kind.value for kind in agent.evidence),
        "program": program.name,
        "device": program.device.value,
    }
    this_id = mail_id(desk.keyring, domain_of(channel), LETTER, "told", incoming.id)
    desk.send(_letter(incoming.id, channel, agent, this_id, facts))
    return _done(incoming, agent, result)


def _done(incoming: Incoming, agent: Agent, result: str) -> Decision:
    counts = result in (Stage.PROVEN, Stage.BY_TOKEN)
    return Decision(
        outcome=Outcome.NOTED if counts else Outcome.HELD,
        speaker=Speaker.AGENT,
        agent=agent.name,
        reasons=(because("enrolment", agent=agent.name, result=result),),
    )
