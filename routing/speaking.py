"""Speaking: an agent's words to the customer leave, wait for a word of their author, or come back to him.

They leave at once where nothing is against it; the first valid answer claims a ticket that nobody has. Where it may be
wrong to send them (`routing/obstacles.py`, or a first line like a note's) they are kept as they would leave, after the
guard has run: one such answer for each ticket and agent, and a newer one takes its place. `!send` lets it go.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from channels.message import Attachment, Medium
from routing.acting import after_words, before_words, opens
from routing.addressing import note_outsiders
from routing.answer_letters import Way, drop_held, held_words, hold_words, send_words, way_to_customer, who_else
from routing.away_words import read_like_absence
from routing.by_program import written_by_program
from routing.commands import CommandName, Parsed
from routing.desk import Decision, Desk, Incoming, Internal, domain_of, mail_id, reason_data
from routing.guard import GuardFacts, Inspection, inspect
from routing.habits import read, written
from routing.holding import held, hold_and_tell, tell_agent
from routing.joining import goes_on_as, joined_to
from routing.obstacles import (
    BY_PROGRAM,
    FILES_UNSENT,
    LIKE_A_NOTE,
    LIKE_ABSENCE,
    Obstacle,
    holder_of,
    in_the_way,
    not_asked,
)
from routing.policy import Agent
from routing.reasons import Reason
from routing.records import NewOutbox, Ticket
from routing.reopening import reopen
from routing.tokens import canary
from routing.words import Outcome, Purpose, Speaker, TicketState
from routing.writing import send_to_agent


@dataclass(frozen=True, kw_only=True, slots=True)
class AgentMail:
    """An agent's mail about a ticket: who he is, and which ticket is meant, is beyond doubt."""

    incoming: Incoming
    desk: Desk
    agent: Agent
    number: int
    asked: Parsed
    reasons: tuple[Reason, ...]
    doubts: tuple[Obstacle, ...] = ()  # what he must be asked about because of the mail that he answered

    @property
    def ticket(self) -> Ticket:
        """As it stands now."""
        return self.desk.tickets[self.number]

    def done(self, outcome: Outcome, *more: Reason) -> Decision:
        """What became of it."""
        return Decision(
            outcome=outcome,
            speaker=Speaker.AGENT,
            ticket=self.number,
            customer=self.ticket.customer,
            agent=self.agent.name,
            reasons=(*self.reasons, *more),
        )

    def comes_back(self, code: str, words: str, *more: Reason, **facts: Any) -> Decision:
        """Nothing of it leaves; its author is told why, with what would have left."""
        reasons = (*self.reasons, *more)
        return hold_and_tell(
            self.incoming, self.desk, self.agent, self.ticket, code, reasons, would_have_left=words, **facts
        )

    def does_before(self, words: str = "") -> None:
        before_words(self.incoming, self.desk, self.agent, self.asked.commands, self.number, words)

    def does_after(self, words: str = "") -> None:
        after_words(self.incoming, self.desk, self.agent, self.asked.commands, self.number, words)


def speak(mail: AgentMail, first: tuple[Obstacle, ...] = ()) -> Decision:
    """Send the agent's words to the customer, if they came whole and nothing internal is in them.

    His commands are carried out once nothing can hold the mail any more, and before its recipients are settled.
    `first`: what `!send` beside the words is no answer to.
    """
    desk, words, ticket = mail.desk, mail.asked.rest, mail.ticket
    if mail.incoming.message.is_cut:
        return mail.comes_back("incomplete", words[:MAX_SHOWN])
    if (code := _like_a_machine(mail)) and held_words(desk, ticket, mail.agent) is not None:
        # What he wrote himself waits: it stays what `!send` means, and the machine is not answered for ever (G7).
        return held(mail.incoming, desk, mail.agent, ticket, code, mail.reasons, told=False)
    replaced = drop_held(desk, ticket, mail.agent)
    found = inspect(replace(mail.incoming.message, text=words), guard_facts(mail.incoming, desk, mail.agent, ticket))
    if not found.is_clean:
        return _internal(mail, found)
    if found.tail:
        known = desk.tails.get(mail.agent.name, "")
        desk.tails[mail.agent.name] = desk.changes.tails[mail.agent.name] = written(known, found.tail)
    if (into := joined_to(ticket)) is not None:
        return mail.comes_back("merged", found.text[:MAX_SHOWN], detail=str(into))
    way = way_to_customer(desk, ticket, mail.asked.commands)
    if way is None:
        return mail.comes_back("no_way", found.text[:MAX_SHOWN])
    if not found.text and not _carries_files(way):
        return mail.comes_back(FILES_UNSENT, "")
    answer = _words(mail, found, way)
    if obstacles := (*first, *mail.doubts, *_asked_of_words(mail, found, way)):
        undone = [c.line[:200] for c in mail.asked.commands if c.name is not CommandName.SEND]
        return _waits(mail, answer, way, obstacles, replaced=replaced, undone=undone)
    if not opens(mail.asked.commands):
        _open(mail)
    mail.does_before(words)
    _leaves(mail, answer, way)
    note_outsiders(mail.incoming, desk, mail.agent, mail.ticket)
    _queued(mail, way, files=len(found.attachments), reasons=(*mail.reasons, *found.reasons))
    if replaced:
        tell_agent(mail.incoming, desk, mail.agent, mail.ticket, "replaced", would_have_left=found.text)
    if kept_back := [a.name for a in mail.incoming.message.attachments if _is_missed(a, found, mail)]:
        tell_agent(mail.incoming, desk, mail.agent, mail.ticket, "files_kept_back", detail="、".join(kept_back)[:200])
    mail.does_after(words)
    return mail.done(Outcome.ANSWERED, *found.reasons)


def _is_missed(file: Attachment, found: Inspection, mail: AgentMail) -> bool:
    """Whether the customer's own file was attached by hand, and did not go back to him: words may speak of it."""
    is_his = any(file.sha256 in known.files for known in mail.desk.internal.values())
    return is_his and not file.is_inline and file not in found.attachments


MAX_SHOWN = 4000  # characters of words that come back; what may still leave is shown whole


def release(mail: AgentMail) -> Decision:
    """`!send` alone: what was held for a question leaves after all, to those whom it concerns by now.

    What has come between since he was asked, he is asked about once more.
    """
    desk, ticket = mail.desk, mail.ticket
    waited = held_words(desk, ticket, mail.agent)
    if waited is None:
        return mail.comes_back("nothing_held", "")
    words = str(waited.recipe["words"])
    if (into := joined_to(ticket)) is not None:
        return mail.comes_back("merged", words[:MAX_SHOWN], detail=str(into))
    way = way_to_customer(desk, ticket, mail.asked.commands)
    if way is None:
        return mail.comes_back("no_way", words[:MAX_SHOWN])
    obstacles = in_the_way(desk, ticket, mail.agent, opens=opens(mail.asked.commands), waited=waited)
    if new := not_asked((*mail.doubts, *obstacles), waited):
        drop_held(desk, ticket, mail.agent)
        return _waits(mail, waited, way, new, asked=waited.recipe.get("asked", ()))
    if not opens(mail.asked.commands):
        _open(mail)
    mail.does_before()
    drop_held(desk, ticket, mail.agent)
    # What he said then he says now: the promise is kept, or broken, by this word.
    _leaves(mail, replace(waited, answered_at=mail.incoming.received_at), way)
    desk.tell("held_released", ticket=ticket.id, message=mail.incoming.id, agent=mail.agent.name)
    mail.does_after(words)
    return mail.done(Outcome.ANSWERED)


# ---- what is in the way


def _asked_of_words(mail: AgentMail, inspected: Inspection, way: Way) -> tuple[Obstacle, ...]:
    names = {c.name for c in mail.asked.commands}
    if CommandName.SEND in names:
        return ()  # he has said it beforehand
    found = list(in_the_way(mail.desk, mail.ticket, mail.agent, opens=opens(mail.asked.commands)))
    if mail.asked.looks_like_note or _passes_on(mail):
        found.append(Obstacle(code=LIKE_A_NOTE))
    if code := _like_a_machine(mail):
        found.append(Obstacle(code=code))
    if not _carries_files(way) and not all(file.is_inline for file in inspected.attachments):
        found.append(Obstacle(code=FILES_UNSENT))
    return tuple(found)


def _like_a_machine(mail: AgentMail) -> str:
    """The code of what these words read like that a machine wrote in his name; "" where they do not."""
    if mail.asked.commands:
        return ""
    if read_like_absence(mail.asked.rest):
        return LIKE_ABSENCE
    return BY_PROGRAM if written_by_program(mail.asked.rest, mail.incoming.message.attachments) else ""


def _carries_files(way: Way) -> bool:
    """Words alone go by the web chat: a picture in his signature is missed by nobody, a file that he attached is."""
    return way[0].medium in (Medium.EMAIL, Medium.TELEGRAM)


def _passes_on(mail: AgentMail) -> bool:
    """He pressed Forward rather than Reply: what stands above is said to whoever he passes it on to."""
    message = mail.incoming.message
    return message.passed_on is not None and not message.in_reply_to


def _waits(
    mail: AgentMail,
    answer: NewOutbox,
    way: Way,
    obstacles: tuple[Obstacle, ...],
    *,
    asked: Sequence[str] = (),
    **facts: Any,
) -> Decision:
    """Keep the words, and show their author what would leave, to whom, and what is to be thought of."""
    first = obstacles[0]
    hold_words(mail.desk, mail.ticket, mail.agent, answer, first.code, [*asked, *(one.asked for one in obstacles)])
    people = [[mail.ticket.contact_name if way[0].medium == Medium.EMAIL else "", way[1]]]
    people += [[p.name, p.address] for p in who_else(mail.desk, mail.ticket, way)]
    facts = {name: value for name, value in facts.items() if value}
    return mail.comes_back(
        first.code, str(answer.recipe["words"]), goes_to=people, with_files=len(answer.recipe["files"]),
        **first.facts(), **facts,
    )  # fmt: skip


def _internal(mail: AgentMail, found: Inspection) -> Decision:
    """Something internal is left in the words, or nothing is left of them."""
    return mail.comes_back(
        "internal_survived" if found.survived else "empty_reply",
        found.text[:MAX_SHOWN],
        *found.reasons,
        detail="; ".join(s for s in found.survived if not s.startswith("ik"))[:200],
    )


# ---- they leave


def _open(mail: AgentMail) -> None:
    if mail.ticket.state is TicketState.CLOSED:
        reopen(mail.incoming, mail.desk, mail.agent, mail.ticket)


def _words(mail: AgentMail, found: Inspection, way: Way) -> NewOutbox:
    """The agent's words as they go to the customer."""
    channel, address = way
    number, incoming, keyring = mail.number, mail.incoming, mail.desk.keyring
    is_mail = channel.medium == Medium.EMAIL
    return NewOutbox(
        ticket=number,
        source=incoming.id,
        channel=channel.name,
        address=address,
        purpose=Purpose.ANSWER,
        agent=mail.agent.name,
        recipe={
            "message": incoming.id,
            "words": found.text,
            "files": [a.path for a in found.attachments] if _carries_files(way) else [],
            "links": list(found.links),
        },
        mail_id=mail_id(keyring, domain_of(channel), "answer", number, incoming.id) if is_mail else "",
        answered_at=incoming.received_at,
    )


def _leaves(mail: AgentMail, answer: NewOutbox, way: Way) -> None:
    """It is on its way: nobody else need answer, and whose ticket it is hears of it."""
    desk, before, agent = mail.desk, mail.ticket, mail.agent
    send_words(desk, before, answer, way)
    is_first = (before.state, before.answered_by) != (TicketState.ANSWERED, agent.name)
    holder = holder_of(desk, before)
    now = replace(
        desk.tickets[before.id],
        state=TicketState.ANSWERED,
        answered_by=agent.name,
        answered_at=answer.answered_at,
        updated_at=desk.now,
    )
    if holder is None:
        now = replace(now, agent=agent.name, assigned_at=desk.now)
        desk.tell("ticket_claimed", ticket=before.id, message=mail.incoming.id, agent=agent.name)
    desk.put_ticket(now)
    if holder is not None and holder.name != agent.name and is_first:
        _tell_holder(mail, holder, answer)


def _tell_holder(mail: AgentMail, holder: Agent, answer: NewOutbox) -> None:
    channel, at = mail.desk.mail_channel_of(mail.ticket), answer.answered_at
    if channel is None or at is None:
        return
    waits = next((one.not_before for one in reversed(mail.desk.changes.outbox) if one.mail_id == answer.mail_id), None)
    send_to_agent(
        mail.desk,
        mail.ticket,
        holder,
        channel,
        Purpose.TOLD,
        message=mail.incoming.id,
        not_before=waits,
        code="answered_by",
        by=mail.agent.name,
        at=at.isoformat(),
        would_have_left=str(answer.recipe["words"]),
    )


def _queued(mail: AgentMail, way: Way, *, files: int, reasons: tuple[Reason, ...]) -> None:
    mail.desk.put_key(mail.incoming.message.message_id, mail.number, is_ours=False)
    mail.desk.tell(
        "answer_queued",
        ticket=mail.number,
        message=mail.incoming.id,
        agent=mail.agent.name,
        channel=way[0].name,
        answered_at=mail.incoming.received_at.isoformat(),
        files=files,
        reasons=reason_data(reasons),
    )


# ---- what must not leave


def guard_facts(incoming: Incoming, desk: Desk, agent: Agent, ticket: Ticket) -> GuardFacts:
    """What must not leave in this agent's answer on this ticket."""
    numbers = _of_this_matter(desk, ticket)
    known = _all_of(desk.internal[n] for n in sorted(numbers & desk.internal.keys()))
    tokens = frozenset(r.token for r in desk.tokens.values() if r.ticket in numbers)
    mail = desk.mail_channel_of(ticket)
    return GuardFacts(
        internal_lines=known.lines,
        shown_lines=known.shown,
        customer_words=known.customer_words,
        known_attachments=known.files,
        marked_attachments=desk.marked.get(incoming.id, frozenset()),
        key_ids=frozenset(k.id for k in desk.keyring.all),
        tokens=tokens,
        canaries=frozenset(canary(desk.keyring, number) for number in numbers),
        internal_message_ids=frozenset(k for k, (n, ours) in desk.keys.items() if n in numbers and ours),
        private_addresses=frozenset(agent.addresses),
        private_numbers=frozenset(agent.phones),
        desk_address=mail.address if mail is not None else "",
        hotline=desk.policy.hotline,
        names=(agent.display_name,),
        signature=agent.signature,
        tails=read(desk.tails.get(agent.name, "")),
        tail_key=desk.keyring.current.secret,
    )


def _of_this_matter(desk: Desk, ticket: Ticket) -> set[int]:
    """The ticket, and those that were joined to it: their mails to him are as internal as its own."""
    joined = (t.id for t in desk.tickets.values() if joined_to(t) is not None and goes_on_as(desk, t).id == ticket.id)
    return {ticket.id, *joined}


def _all_of(several: Iterable[Internal]) -> Internal:
    known = tuple(several)
    return Internal(
        lines=tuple(dict.fromkeys(line for one in known for line in one.lines)),
        shown=tuple(dict.fromkeys(line for one in known for line in one.shown)),
        customer_words=tuple(dict.fromkeys(line for one in known for line in one.customer_words)),
        files=frozenset(file for one in known for file in one.files),
    )
