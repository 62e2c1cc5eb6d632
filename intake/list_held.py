"""What is held for an agent: answers that wait for `!send`, questions that wait for `!ok`, mails nothing came of.

Each says why, and what to do now.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from intake.compose_lists import ListGroup, ListRow
from intake.list_reader import MAX_ROWS, Reader, Worded, ticket_names
from intake.told_words import asks
from routing.records import Question, Ticket
from store import answers, questions, tickets
from store.answers import UNPROVEN, HeldMail

#: Commands that asked the desk for something and could not be done: he was told at once, and nothing waits for him.
_ASKED = frozenset(
    {
        *("not_yours", "show_what", "find_what", "report_when", "wrong_break", "away_whom", "bad_holiday"),
        *("supervisors_only", "needs_ticket", "no_question", "no_such_text", "no_words_for_text", "bad_placeholder"),
    }
)

REMEMBERED = timedelta(days=3)  # that long a mail is named of which nothing came


async def held_list(reader: Reader, recipe: Mapping[str, Any]) -> Worded:
    del recipe
    groups = await held_groups(reader)
    count = sum(len(group.rows) for group in groups)
    if not count:
        return Worded(first=reader.say("list.first.held_none"))
    return Worded(first=reader.say("list.first.held", count=str(count)), groups=groups, colour="amber")


async def held_groups(reader: Reader) -> tuple[ListGroup, ...]:
    """Two groups, either of which may be empty: mails, questions."""
    tx, name = reader.tx, reader.agent.name
    mails = await answers.waiting(tx, name, MAX_ROWS)
    mails += _others(mails, await answers.refused(tx, name, reader.now - REMEMBERED, MAX_ROWS))
    mails = [mail for mail in mails if mail.why not in _ASKED]
    asked = await questions.waiting(tx, reader.now, name, MAX_ROWS)
    about = [*(mail.ticket for mail in mails), *(question.ticket for question in asked)]
    known = await tickets.by_ids(tx, {number for number in about if number is not None})
    columns = (reader.say("list.column.when"), reader.say("list.column.matter"))
    return (
        ListGroup(
            caption=reader.say("list.caption.held"),
            columns=columns,
            rows=tuple(_mail(reader, known, mail) for mail in mails),
        ),
        ListGroup(
            caption=reader.say("list.caption.questions"),
            columns=columns,
            rows=tuple(_question(reader, known, question) for question in asked),
        ),
    )


def _others(waiting: Sequence[HeldMail], refused: Sequence[HeldMail]) -> list[HeldMail]:
    """What came back for good: a mail whose words still wait is named once."""
    known = {mail.message for mail in waiting}
    return [mail for mail in refused if mail.message not in known]


def _mail(reader: Reader, known: Mapping[int, Ticket], mail: HeldMail) -> ListRow:
    number, link, name = ticket_names(reader, known, mail.ticket)
    if mail.why == UNPROVEN:
        return _row(reader, mail.at, under=(reader.say("list.forged", count=str(mail.count)),))
    todo = reader.say("list.send") if mail.is_waiting else _told(reader, mail.why, "todo")
    return _row(
        reader,
        mail.at,
        ticket=number,
        show=link,
        name=name,
        under=(_told(reader, mail.why, "head"), todo),
        quoted=mail.words,
    )


def _told(reader: Reader, code: str, part: str) -> str:
    """A sentence of what he was told; "" where there is none without its detail."""
    key = f"told.{code}.{part}"
    if not reader.with_.texts.has(key) or reader.with_.texts.placeholders(key):
        return ""
    return reader.say(key)


def _question(reader: Reader, known: Mapping[int, Ticket], question: Question) -> ListRow:
    number, link, name = ticket_names(reader, known, question.ticket)
    asked = asks(question, reader.with_, reader.language, reader.now)
    until = reader.say("list.ok", moment=reader.near(question.expires_at))
    return _row(
        reader,
        question.asked_at,
        ticket=number,
        show=link,
        name=name,
        under=(asked, until),
    )


def _row(reader: Reader, at: datetime, **facts: Any) -> ListRow:
    return ListRow(lead=reader.near(at), **facts)
