"""Absences: a supervisor says that a colleague is away, and what is owed meanwhile goes to others.

It touches others, so it is asked back first, with what would become of each ticket (`routing/confirming.py`). What is
not owed before he is back stays his. Each of his promises keeps its deadline.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from unicodedata import normalize
from zoneinfo import ZoneInfo

from routing.assignment import Assignment
from routing.confirming import ask
from routing.covering import next_due, shared_out, waiting_for
from routing.deed import WORDS_UNUSED, Act
from routing.desk import Desk, Incoming
from routing.folding import fold
from routing.handing_over import colleague, give
from routing.holding import may_tell, tell_plainly
from routing.policy import Agent
from routing.presence import OFF, back_after, calendar_of, set_presence
from routing.reasons import because
from routing.records import Question, Ticket
from routing.words import Purpose, QuestionKind
from routing.writing import send_to_agent

MAX_DAYS = 366  # longer is no absence: the configuration says who works here

Row = list[object]  # [ticket, due_at or "", [agents]], as a recipe holds it


@dataclass(frozen=True, slots=True)
class Absence:
    """Who is away, and when he is back."""

    agent: Agent
    back_at: datetime


# ---- what was written

_TODAY = ("today", "今天", "今日", "本日")
_TOMORROW = ("tomorrow", "明天", "明日")
_UNTIL = re.compile(r"(?:until|till|to|到|至|直到)\Z")
_FULL = re.compile(r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?\Z")
_SHORT = re.compile(r"(\d{1,2})[-/.月](\d{1,2})日?\Z")


def absence_in(argument: str, desk: Desk) -> Absence | None:
    """What `!away NAME [today|until DATE]` says; the last day counts as away. None: nobody, or no day to come."""
    words = argument.split()
    if not words:
        return None
    today = desk.now.astimezone(ZoneInfo(desk.policy.timezone)).date()
    last = day_in(words[-1], today) if len(words) > 1 else None
    named = words
    if last is not None:
        named = words[:-1]
        if len(named) > 1 and _UNTIL.match(fold(named[-1])):
            named = named[:-1]
    who = colleague(desk, " ".join(named))
    last = last or today
    if who is None or not today <= last <= today + timedelta(days=MAX_DAYS):
        return None
    return Absence(who, back_after(calendar_of(desk.policy, who.name), last))


def day_in(word: str, today: date) -> date | None:
    """`2026-11-25`, `11/25`, `11月25日`, `今天`, `到11/25`; of a day without a year the next one to come."""
    written = re.sub(r"\A(?:到|至|直到)", "", fold(normalize("NFKC", word)))
    if written in _TODAY:
        return today
    if written in _TOMORROW:
        return today + timedelta(days=1)
    try:
        if (full := _FULL.match(written)) is not None:
            return date(int(full[1]), int(full[2]), int(full[3]))
        if (short := _SHORT.match(written)) is not None:
            found = date(today.year, int(short[1]), int(short[2]))
            return found if found >= today else found.replace(year=today.year + 1)
    except ValueError:  # 11/31
        return None
    return None


# ---- asked


def wrong_absence(act: Act) -> str:
    return "" if absence_in(act.argument, act.desk) is not None else "away_whom"


def asks_away(act: Act) -> str:
    absence = absence_in(act.argument, act.desk)
    assert absence is not None, "asked before"
    shared = _shared(act.desk, absence.agent, absence.back_at)
    ask(
        act.incoming,
        act.desk,
        act.agent,
        QuestionKind.AWAY,
        {
            "agent": absence.agent.name,
            "back_at": absence.back_at.isoformat(),
            "rows": [_row(act.desk, ticket, found) for ticket, found in shared],
        },
    )
    return WORDS_UNUSED


def _shared(desk: Desk, agent: Agent, back_at: datetime) -> list[tuple[Ticket, Assignment]]:
    return shared_out(desk, waiting_for(desk, agent.name, back_at), agent.name)


def _row(desk: Desk, ticket: Ticket, found: Assignment) -> Row:
    due = next_due(desk, ticket.id)
    return [ticket.id, due.isoformat() if due else "", [found.agent.name] if found.agent else []]


# ---- done


def confirmed_away(incoming: Incoming, desk: Desk, supervisor: Agent, question: Question) -> None:
    """He is away from now on; what is owed before he is back goes to whoever can take it now."""
    away = desk.policy.agents.get(str(question.data["agent"]))
    back_at = datetime.fromisoformat(str(question.data["back_at"]))
    if away is None or back_at <= desk.now:
        if may_tell(desk, supervisor):
            tell_plainly(incoming, desk, supervisor, "question_expired")
        return
    set_presence(desk, away.name, OFF, back_at, message=incoming.id, by=supervisor.name)
    rows: list[Row] = []
    for ticket, found in _shared(desk, away, back_at):
        rows.append(_row(desk, ticket, found))
        if found.agent is not None:
            _give(incoming, desk, supervisor, ticket, away, found.agent)
    if may_tell(desk, supervisor):
        tell_plainly(incoming, desk, supervisor, "away_done", detail=back_at.isoformat(), who=away.name, rows=rows)
    if away.name != supervisor.name:
        moved = [row for row in rows if row[2]]
        tell_plainly(incoming, desk, away, "away_you", detail=back_at.isoformat(), rows=moved)


def _give(incoming: Incoming, desk: Desk, supervisor: Agent, ticket: Ticket, away: Agent, other: Agent) -> None:
    """Let another agent have it; the addresses of who is away end, and he is told of all of them at once."""
    by = because("stands_in", agent=away.name)
    give(incoming, desk, supervisor, desk.tickets[ticket.id], other, by)
    desk.revoke(ticket.id, away.name)
    channel = desk.mail_channel_of(ticket)
    if channel is None:
        desk.tell("agent_unreachable", ticket=ticket.id, message=incoming.id, agent=other.name, why="no mail channel")
        return
    send_to_agent(
        desk,
        desk.tickets[ticket.id],
        other,
        channel,
        Purpose.ASSIGNMENT,
        message=desk.latest_of(ticket),
        reasons=(by,),
    )
