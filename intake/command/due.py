"""`intake due`: what would be promised to somebody, and how each deadline comes about, to be checked with a pencil."""

from __future__ import annotations

from argparse import Namespace
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Any
from zoneinfo import ZoneInfo

from channels.adapter import Clock
from channels.message import Medium
from intake import dates
from intake.command.due_table import calendar_called, run_table
from intake.command.failure import Exit, Failure
from intake.command.overlaid import overlaid
from intake.command.plain_policy import channel_called, class_called, found, topic_called, with_media
from intake.command.terminal import Screen
from routing.budgets import BadBudget, parse_budget
from routing.calendars import Interval, NoOpenHours, intervals, is_provisional
from routing.policy import CalendarSpec, ChannelPolicy, Policy
from routing.sla import TargetPlan, targets_for
from routing.words import Kind


async def run(args: Namespace, screen: Screen, clock: Clock) -> Exit:
    policy, config = found(args)
    policy = with_media(await overlaid(policy, config))
    if args.calendar:
        return _by_calendar(args, policy, screen, clock)
    if args.tsv or args.budget:
        raise Failure(Exit.USAGE, "--tsv and --budget need a calendar", "write --calendar CN in place of --channel")
    channel = channel_called(policy, args.channel)
    spec = policy.calendar_of(channel.name, channel.team)
    at = moment(args.at, policy.timezone) if args.at else clock.now()
    try:
        plans = targets_for(
            policy,
            channel=channel.name,
            medium=Medium(channel.medium),
            kind=Kind(args.kind),
            urgent=args.urgent,
            at=at,
            team=channel.team,
            topic=topic_called(policy, args.topic),
            grade=class_called(policy, args.customer_class),
            missed_call=args.missed_call,
        )
        counted = [(plan, intervals(spec, plan.started_at, plan.budget, policy.language)) for plan in plans]
    except NoOpenHours as error:
        raise Failure(Exit.WRONG, str(error), "give the calendar hours") from error
    uncertain = provisional_years(spec, at, max(plan.due_at for plan in plans))
    if screen.is_json:
        screen.json(_as_json(args, policy, channel, spec, at, counted, uncertain))
    else:
        _print(screen, args, channel, spec, at, clock.now(), counted, uncertain)
    return Exit.OK


def _by_calendar(args: Namespace, policy: Policy, screen: Screen, clock: Clock) -> Exit:
    spec = calendar_called(policy, args.calendar)
    if args.tsv:
        return run_table(args, spec, screen)
    if not args.budget:
        raise Failure(Exit.USAGE, "count what in this calendar?", "add --budget 8wh, or --tsv - for a whole table")
    at = moment(args.at, spec.timezone) if args.at else clock.now()
    try:
        budget = parse_budget(args.budget)
        its = intervals(spec, at, budget, policy.language)
    except BadBudget as error:
        raise Failure(Exit.USAGE, str(error), error.mend) from error
    except NoOpenHours as error:
        raise Failure(Exit.WRONG, str(error), "give the calendar hours") from error
    due = its[-1].end
    uncertain = provisional_years(spec, at, due)
    if screen.is_json:
        facts = {"calendar": spec.name, "calendar_version": spec.version, "timezone": spec.timezone, "at": at}
        screen.json({**facts, "budget": str(budget), "due_at": due, "provisional_years": uncertain,
                     "intervals": _stretches(its)})  # fmt: skip
        return Exit.OK
    said = dates.deadline(due, spec.timezone, dates.EN, at)
    since = dates.moment(at, spec.timezone, dates.EN, clock.now())
    screen.line(f"{budget} from {since} ({spec.timezone}), calendar {spec.name}: by {screen.paint('bold', said)}")
    _sum(screen, its, spec, at)
    _warn(screen, spec, uncertain)
    return Exit.OK


def moment(written: str, timezone: str) -> datetime:
    """A time as it is written on the command line. Raises Failure."""
    try:
        at = datetime.fromisoformat(written.strip())
    except ValueError:
        mend = 'write for example "2026-11-23 17:40" or 2026-11-23T17:40+08:00'
        raise Failure(Exit.USAGE, f'"{written}" is no time', mend) from None
    return (at if at.tzinfo is not None else at.replace(tzinfo=ZoneInfo(timezone))).astimezone(UTC)


def provisional_years(spec: CalendarSpec, start: datetime, end: datetime) -> list[int]:
    """Years between two moments whose make-up workdays nobody has published yet."""
    zone = ZoneInfo(spec.timezone)
    years = range(start.astimezone(zone).year, end.astimezone(zone).year + 1)
    return [year for year in years if is_provisional(spec, year)]


Counted = list[tuple[TargetPlan, list[Interval]]]


def _as_json(
    args: Namespace,
    policy: Policy,
    channel: ChannelPolicy,
    spec: CalendarSpec,
    at: datetime,
    counted: Counted,
    uncertain: list[int],
) -> dict[str, Any]:
    return {
        "channel": channel.name,
        "medium": channel.medium,
        "kind": args.kind,
        "urgent": args.urgent,
        "at": at,
        "calendar": spec.name,
        "calendar_version": spec.version,
        "timezone": spec.timezone,
        "policy_version": policy.version,
        "provisional_years": uncertain,
        "targets": [
            {
                "target": plan.kind.value,
                "key": plan.key,
                "budget": str(plan.budget),
                "due_at": plan.due_at,
                "warn_50_at": plan.warn_50_at,
                "warn_80_at": plan.warn_80_at,
                "supervisor_at": plan.supervisor_at,
                "intervals": _stretches(its),
            }
            for plan, its in counted
        ],
    }


def _stretches(its: list[Interval]) -> list[dict[str, Any]]:
    return [
        {
            "start": one.start,
            "end": one.end,
            "counted_s": one.counted.total_seconds(),
            "sum_s": so_far.total_seconds(),
            "why": one.why.value,
            "name": one.name,
        }
        for one, so_far in zip(its, accumulate(one.counted for one in its), strict=True)
    ]


# ---- for people


def _print(
    screen: Screen,
    args: Namespace,
    channel: ChannelPolicy,
    spec: CalendarSpec,
    at: datetime,
    now: datetime,
    counted: Counted,
    uncertain: list[int],
) -> None:
    kind = f"urgent {args.kind}" if args.urgent else args.kind
    when = dates.moment(at, spec.timezone, dates.EN, now)
    screen.line(f"A{'n' if kind[0] in 'aeiou' else ''} {kind} by {channel.name} at {when} ({spec.timezone}), "
                f"calendar {spec.name}:")  # fmt: skip
    for plan, its in counted:
        due = dates.deadline(plan.due_at, spec.timezone, dates.EN, at)
        screen.line()
        name = plan.kind.value.replace("_", " ")
        screen.line(f"{screen.paint('bold', name)} by {screen.paint('bold', due)}  ({plan.budget}, {plan.key})")
        _sum(screen, its, spec, at)
        screen.line(f"  {_notices(plan, spec, at)}")
    _warn(screen, spec, uncertain)


def _sum(screen: Screen, its: list[Interval], spec: CalendarSpec, at: datetime) -> None:
    """A line for each stretch: what it counts, and what all up to it make together."""
    together = accumulate(one.counted for one in its)
    rows = [_row(one, so_far, spec, at) for one, so_far in zip(its, together, strict=True)]
    screen.table(("from", "to", "counts", "together", "why"), rows, flexible=4, indent="  ")


def _warn(screen: Screen, spec: CalendarSpec, uncertain: list[int]) -> None:
    for year in uncertain:
        screen.line()
        screen.wrapped(
            f"{year} is provisional: the make-up workdays of {spec.country} are not published yet, "
            "and these deadlines may move when they are.",
            first=screen.paint("yellow", "! "),
            then="  ",
        )


def _row(one: Interval, so_far: timedelta, spec: CalendarSpec, now: datetime) -> tuple[str, str, str, str, str]:
    why = f"{one.why.value}: {one.name}" if one.name else one.why.value
    return (
        dates.moment(one.start, spec.timezone, dates.EN, now),
        dates.deadline(one.end, spec.timezone, dates.EN, now),
        _clock(one.counted) if one.counted else "-",
        _clock(so_far),
        why,
    )


def _clock(length: timedelta) -> str:
    """Hours and minutes, with seconds where there are any: a sum must come out to the second."""
    seconds = round(length.total_seconds())
    said = f"{seconds // 3600}:{seconds % 3600 // 60:02}"
    return f"{said}:{seconds % 60:02}" if seconds % 60 else said


def _notices(plan: TargetPlan, spec: CalendarSpec, now: datetime) -> str:
    warned = [dates.moment(w, spec.timezone, dates.EN, now) for w in (plan.warn_50_at, plan.warn_80_at) if w]
    told = [f"the agent is warned {' and '.join(warned)}"] if warned else ["nobody is warned: it is too short"]
    at = "at the deadline"
    if plan.supervisor_at != plan.due_at:
        at = dates.deadline(plan.supervisor_at, spec.timezone, dates.EN, now)
    return "; ".join([*told, f"the supervisor hears of it {at}"])
