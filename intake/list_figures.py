"""A small report: first responses by channel, for a day, a week or a month. Counts stand beside rates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from intake import dates
from intake.compose_lists import ListGroup
from intake.list_reader import Reader, Worded, teams_of
from routing.looking import span_of
from store import figures
from store.figures import Figures


async def figures_list(reader: Reader, recipe: Mapping[str, Any]) -> Worded:
    """`query` names the span: today (also for ""), yesterday, week, month, in any of the languages."""
    when = span_of(str(recipe.get("query", ""))) or "today"
    since, until = _SPANS[when](_midnight(reader))
    teams = teams_of(reader.policy, reader.agent)
    found = await figures.first_responses(reader.tx, since, until, reader.now, teams or None)
    said = reader.say(f"list.when.{when}")
    total = _sum(found)
    if not found:
        return Worded(first=reader.say("list.first.figures_none", when=said))
    titles = tuple(reader.say(f"list.column.{name}") for name in ("channel", "due", "on_time", "late", "open"))
    rows = [_cells(one, one.channel) for one in found]
    if len(found) > 1:
        rows.append(_cells(total, reader.say("list.column.sum")))
    group = ListGroup(
        caption=reader.say("list.caption.figures"),
        table=(titles, *rows),
        below=reader.say("list.provisional") if until > reader.now else "",
    )
    first = reader.say("list.first.figures", when=said, due=str(total.due), on_time=_with_rate(total))
    return Worded(first=first, groups=(group,))


def _midnight(reader: Reader) -> datetime:
    local = reader.now.astimezone(dates.zone(reader.timezone))
    return local.replace(hour=0, minute=0, second=0, microsecond=0)


_DAY = timedelta(days=1)
#: From the midnight that began today, in local time: since, until.
_SPANS: Mapping[str, Callable[[datetime], tuple[datetime, datetime]]] = {
    "today": lambda day: (day, day + _DAY),
    "yesterday": lambda day: (day - _DAY, day),
    "week": lambda day: (day - day.weekday() * _DAY, day + (7 - day.weekday()) * _DAY),
    "month": lambda day: (day.replace(day=1), (day.replace(day=28) + 4 * _DAY).replace(day=1)),
}


def _sum(found: list[Figures]) -> Figures:
    return Figures(
        channel="",
        due=sum(one.due for one in found),
        on_time=sum(one.on_time for one in found),
        late=sum(one.late for one in found),
        is_open=sum(one.is_open for one in found),
    )


def _cells(one: Figures, name: str) -> tuple[str, ...]:
    return (name, str(one.due), _with_rate(one), str(one.late), str(one.is_open))


def _with_rate(one: Figures) -> str:
    return f"{one.on_time} ({round(100 * one.on_time / one.due)} %)" if one.due else "–"
