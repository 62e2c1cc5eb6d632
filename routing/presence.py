"""Presence: an agent says that he is there, that he goes home, or that he takes a break.

Who is not there is given nothing new. What he has stays his: he is shown it, the nearest deadline first, with who could
take it, and hands over what cannot wait. He counts as present again at the next opening of his calendar, after his
break, or when he says so.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from unicodedata import normalize
from zoneinfo import ZoneInfo

from routing.calendars import windows
from routing.covering import could_take, next_due, waiting_for
from routing.deed import WORDS_UNUSED, Act
from routing.desk import Desk
from routing.folding import fold
from routing.holding import may_tell, tell_plainly
from routing.looking import send_list
from routing.policy import CalendarSpec, Policy
from routing.records import Presence, Reminder
from routing.shifts import MAX_DAYS_OFF
from routing.words import ReminderKind

USUAL_BREAK = timedelta(hours=1)
REST = timedelta(hours=12)  # after which somebody who went home from a desk that never closes is there again
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
    if opens and now < opens[0][0]:
        return opens[0][0]
    back = back_after(spec, today)
    # Where the desk does not close over midnight, nothing opens: he goes home all the same.
    return now + REST if opens and opens[-1][1] == back else back


def back_after(spec: CalendarSpec, day: date) -> datetime:
    """When somebody who is away on a day, and maybe before, is there again: when the first day after it begins.

    The night shift of that day still goes on after midnight, and is none of his.
    """
    for number in range(1, MAX_DAYS_OFF + 1):
        if opens := windows(spec, day + number * DAY):
            return opens[0][0]
    # A calendar that never opens keeps nobody away for ever.
    return datetime.combine(day + DAY, time(), ZoneInfo(spec.timezone)).astimezone(UTC)


_CLOCK = re.compile(r"(\d{1,2})(?:[:點点](\d{2})分?|[點点](半?))\Z")
_LENGTH = re.compile(r"(\d{1,3})\s*(min|mins|minutes?|m|分|分鐘|分钟|h|hours?|個?小時|个?小时|)\Z")
_UNTIL = re.compile(r"(?:until|till|到|至)\s*")
_IN_WORDS = {"半": 30, "一": 60, "兩": 120, "两": 120, "二": 120, "三": 180}  # minutes of so many hours
_HOURS = re.compile(r"([半一兩两二三])[個个]?(?:小時|小时|鐘頭|钟头)\Z")


def break_until(argument: str, now: datetime, zone: ZoneInfo) -> datetime | None:
    """When a break ends: "13:30", "30min", "1h", "30" (minutes), "" (an hour); None for what is none of these."""
    written = fold(normalize("NFKC", argument)).strip(" 。.")
    if not written:
        return now + USUAL_BREAK
    if (clock := _CLOCK.match(_UNTIL.sub("", written, count=1))) is not None:
        hour, minute = int(clock[1]), 30 if clock[3] else int(clock[2] or 0)
        if hour > 23 or minute > 59:
            return None
        today = now.astimezone(zone).date()
        days = (datetime.combine(day, time(hour, minute), zone).astimezone(UTC) for day in (today, today + DAY))
        until = next((one for one in days if one > now), now)
    elif (words := _HOURS.match(written)) is not None:
        until = now + timedelta(minutes=_IN_WORDS[words[1]])
    elif (length := _LENGTH.match(written)) is not None:
        is_hours = length[2].startswith(("h", "小", "個", "个"))
        until = now + timedelta(hours=int(length[1])) if is_hours else now + timedelta(minutes=int(length[1]))
    else:
        return None
    return until if now < until <= now + MAX_BREAK else None


def _zone(act: Act) -> ZoneInfo:
    return ZoneInfo(act.desk.policy.timezone)
