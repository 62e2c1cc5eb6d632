"""`intake due --calendar NAME`: budgets counted in one calendar, a whole table of them or one with all its stretches.

A table has a line for each: start, tab, budget. It comes out with the due time as third column, by the calendar's own
clock; whatever stood behind the budget follows. A line that cannot be counted keeps its place with an empty due time.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from intake.command.failure import Exit, Failure
from intake.command.terminal import Screen
from intake.config_calendars import built_in
from intake.config_words import closest
from routing.budgets import BadBudget, parse_budget
from routing.calendars import NoOpenHours, due_at, is_provisional
from routing.policy import Budget, CalendarSpec, Policy

MAX_LINE = 4_096  # characters; a longer one is no start and budget

_EXAMPLE = "write a start, a tab and a budget: 2026-02-13T17:30+08:00<TAB>8wh"


class BadLine(ValueError):  # reads as what it is: raise BadLine
    """A line that cannot be counted. `mend` says what to write instead."""

    def __init__(self, message: str, mend: str) -> None:
        super().__init__(message)
        self.mend = mend


def calendar_called(policy: Policy, name: str) -> CalendarSpec:
    """A calendar of the configuration, or a built-in one. Raises Failure."""
    there = {**built_in(), **policy.calendars}
    if name not in there:
        raise Failure(Exit.NOT_FOUND, f'there is no calendar "{name}"', closest(name, there))
    return there[name]


def run_table(args: Namespace, spec: CalendarSpec, screen: Screen) -> Exit:
    """Count every line of a file, or of standard input. `Exit.WRONG` if any could not be."""
    provisional: set[int] = set()
    bad = 0
    for number, line in enumerate(_lines(args.tsv), 1):
        try:
            screen.line(counted(spec, line, provisional))
        except BadLine as error:
            bad += 1
            _complain(f"line {number}: {error}\n  -> {error.mend}")
            start, budget, *more = [*line.split("\t"), "", ""][: max(2, line.count("\t") + 1)]
            screen.line("\t".join((start, budget, "", *more)))
    for year in sorted(provisional):
        _complain(
            f"{year} is provisional: the make-up workdays of {spec.country} are not published yet, "
            "and deadlines in it may move when they are"
        )
    return Exit.WRONG if bad else Exit.OK


def counted(spec: CalendarSpec, line: str, provisional: set[int]) -> str:
    """One line with its due time; years that nobody can be sure of are added to `provisional`. Raises BadLine."""
    start, budget, more = _parts(line, ZoneInfo(spec.timezone))
    try:
        due = due_at(spec, start, budget).astimezone(ZoneInfo(spec.timezone))
    except NoOpenHours as error:
        raise BadLine(str(error), "give the calendar hours") from None
    except (OverflowError, ValueError):  # before the year 1, after 9999
        raise BadLine(f"{start} is out of range", "give a time of this century") from None
    provisional.update(y for y in range(start.year, due.year + 1) if is_provisional(spec, y))
    written = line.split("\t")
    return "\t".join((written[0], written[1], due.isoformat(), *more))


def _parts(line: str, zone: ZoneInfo) -> tuple[datetime, Budget, list[str]]:
    if len(line) > MAX_LINE:
        raise BadLine(f"has more than {MAX_LINE} characters", _EXAMPLE)
    written, tab, rest = line.partition("\t")
    if not tab:
        raise BadLine("has no tab", _EXAMPLE)
    text, *more = rest.split("\t")
    try:
        at = datetime.fromisoformat(written.strip())
        start = at.replace(tzinfo=zone) if at.tzinfo is None else at.astimezone(zone)
    except (OverflowError, ValueError):
        raise BadLine(f'"{written[:40]}" is no time', "write for example 2026-02-13T17:30+08:00") from None
    try:
        return start, parse_budget(text), more
    except BadBudget as error:
        raise BadLine(str(error), error.mend) from None


def _lines(name: str) -> Iterator[str]:
    if name == "-":
        yield from _cleaned(sys.stdin.buffer)
        return
    try:
        with Path(name).open("rb") as file:
            yield from _cleaned(file)
    except OSError as error:
        mend = "name a file, or - for standard input"
        raise Failure(Exit.NOT_FOUND, f"{name}: {error.strerror or error}", mend) from error


def _cleaned(lines: Iterable[bytes]) -> Iterator[str]:
    for number, line in enumerate(lines):
        text = line.decode("utf-8", "replace").rstrip("\r\n")
        yield text.removeprefix("\ufeff") if number == 0 else text


def _complain(text: str) -> None:
    print(f"intake: {text}", file=sys.stderr)  # noqa: T201
