"""Presence: an agent says that he is there, that he goes home, or that he takes a break.

Who is not there is given nothing new. What he has stays his: he is shown it, the nearest deadline first, with who could
take it, and hands over what cannot wait. He counts as present again at the next opening of his calendar, after his
break, or when he says so.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from routing.calendars import NoOpenHours, next_opening, windows
from routing.covering import could_take, next_due, waiting_for
from routing.deed import WORDS_UNUSED, Act
from routing.desk import Desk
from routing.folding import fold
from routing.holding import may_tell, tell_plainly
from routing.looking import send_list
from routing.policy import CalendarSpec, Policy
from routing.records import Presence, Reminder
from routing.words import ReminderKind

USUAL_BREAK = timedelta(hours=1)
MAX_BREAK = timedelta(hours=12)  # longer is no break: `!off`
SHOWN_COLLEAGUES = 3  # who could take a ticket
DAY = timedelta(days=1)

ON, OFF, BREAK = "on", "off", "break"


def comes(act: Act) -> str:
    """`!on`: he is there, and is shown what waits for him."""
    set_presence(act.desk, act.agent.name, ON, None, message=act.incoming.id, by=act.agent.name)
    if may_tell(act.desk, act.agent):
        send_list(act.incoming, act.desk, act.agent, "mine")
    return WORDS_UNUSED


def goes(act: Act) -> str:
    """`!off`: until his calendar opens again."""
    until = back_at(calendar_of(act.desk.policy, act.agent.name), act.desk.now)
    set_presence(act.desk, act.agent.name, OFF, until, message=act.incoming.id, by=act.agent.name)
    _say_until(act, "presence_off", until)
    return WORDS_UNUSED


def wrong_break(act: Act) -> str:
    return "" if break_until(act.argument, act.desk.now, _zone(act)) is not None else "wrong_break"


def rests(act: Act) -> str:
    """`!break 30min`, `!break 13:30`; an hour where he does not say."""
    until = break_until(act.argument, act.desk.now, _zone(act))
    assert until is not None, "asked before"
    set_presence(act.desk, act.agent.name, BREAK, until, message=act.incoming.id, by=act.agent.name)
    _say_until(act, "presence_break", until)
    return WORDS_UNUSED


def set_presence(desk: Desk, name: str, state: str, until: datetime | None, *, message: int, by: str) -> None:
    """An agent is there, or is not; `until`: when he counts as present again without saying so."""
    desk.put_presence(name, Presence(state=state, since=desk.now, until=until))
    if until is not None:
        desk.changes.reminders.append(Reminder(at=until, kind=ReminderKind.BACK_ON.value, agent=name))
    desk.tell(
        "presence_changed",
        message=message,
        agent=name,
        state=state,
        until_at=until.isoformat() if until is not None else None,
        by=by,
    )


def _say_until(act: Act, code: str, until: datetime) -> None:
    """Until when he is away, and what waits for him meanwhile."""
    desk, agent = act.desk, act.agent
    if not may_tell(desk, agent):
        return
    rows = [
        [ticket.id, due.isoformat() if due else "", could_take(desk, ticket, agent.name)[:SHOWN_COLLEAGUES]]
        for ticket in waiting_for(desk, agent.name)
        for due in [next_due(desk, ticket.id)]
    ]
    tell_plainly(act.incoming, desk, agent, code, detail=until.isoformat(), rows=rows)


# ---- when


def calendar_of(policy: Policy, name: str) -> CalendarSpec:
    """The calendar that an agent works by: his team's."""
    team = next((t.name for t in policy.teams.values() if name in t.members), "")
    return policy.calendar_of("", team)


def back_at(spec: CalendarSpec, now: datetime) -> datetime:
    """When somebody who goes now is there again: who goes before his day has begun, today; else on another day."""
    today = now.astimezone(ZoneInfo(spec.timezone)).date()
    opens = windows(spec, today)
    return opens[0][0] if opens and now < opens[0][0] else back_after(spec, today)


def back_after(spec: CalendarSpec, day: date) -> datetime:
    """When somebody who is away on a day, and maybe before, is there again."""
    midnight = datetime.combine(day + DAY, time(), ZoneInfo(spec.timezone)).astimezone(UTC)
    try:
        return next_opening(spec, midnight)
    except NoOpenHours:  # a calendar that never opens keeps nobody away for ever
        return midnight


_CLOCK = re.compile(r"(\d{1,2})(?::|點|点)(\d{2})分?\Z")
_LENGTH = re.compile(r"(\d{1,3})\s*(min|mins|minutes?|m|分|分鐘|分钟|h|hours?|小時|小时|)\Z")


def break_until(argument: str, now: datetime, zone: ZoneInfo) -> datetime | None:
    """When a break ends: "13:30", "30min", "1h", "30" (minutes), "" (an hour); None for what is none of these."""
    written = fold(argument).strip(" 。.")
    if not written:
        return now + USUAL_BREAK
    if (clock := _CLOCK.match(written)) is not None:
        hour, minute = int(clock[1]), int(clock[2])
        if hour > 23 or minute > 59:
            return None
        today = now.astimezone(zone).date()
        until = datetime.combine(today, time(hour, minute), zone).astimezone(UTC)
    elif (length := _LENGTH.match(written)) is not None:
        is_hours = length[2].startswith(("h", "小"))
        until = now + timedelta(hours=int(length[1])) if is_hours else now + timedelta(minutes=int(length[1]))
    else:
        return None
    return until if now < until <= now + MAX_BREAK else None


def _zone(act: Act) -> ZoneInfo:
    return ZoneInfo(act.desk.policy.timezone)
