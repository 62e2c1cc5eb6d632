"""`intake due`: what would be promised to somebody, and how each deadline comes about, to be checked with a pencil."""

from __future__ import annotations

from argparse import Namespace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from channels.adapter import Clock
from channels.message import Medium
from intake import dates
from intake.command.failure import Exit, Failure
from intake.command.overlaid import overlaid
from intake.command.plain_policy import channel_called, found, with_media
from intake.command.terminal import Screen
from routing.calendars import Interval, NoOpenHours, intervals, is_provisional
from routing.policy import CalendarSpec, ChannelPolicy, Policy
from routing.sla import TargetPlan, targets_for
from routing.words import Kind


async def run(args: Namespace, screen: Screen, clock: Clock) -> Exit:
    policy, config = found(args)
    policy = with_media(await overlaid(policy, config))
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
                "intervals": [
                    {
                        "start": one.start,
                        "end": one.end,
                        "counted_s": one.counted.total_seconds(),
                        "why": one.why.value,
                        "name": one.name,
                    }
                    for one in its
                ],
            }
            for plan, its in counted
        ],
    }


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
        rows = [_row(one, spec, at) for one in its]
        if sum(bool(one.counted) for one in its) > 1:
            rows.append(("", "", _clock(sum((one.counted for one in its), timedelta())), "together"))
        screen.table(("from", "to", "counts", "why"), rows, flexible=3, indent="  ")
        screen.line(f"  {_notices(plan, spec, at)}")
    for year in uncertain:
        screen.line()
        screen.wrapped(
            f"{year} is provisional: the make-up workdays of {spec.country} are not published yet, "
            "and these deadlines may move when they are.",
            first=screen.paint("yellow", "! "),
            then="  ",
        )


def _row(one: Interval, spec: CalendarSpec, now: datetime) -> tuple[str, str, str, str]:
    why = f"{one.why.value}: {one.name}" if one.name else one.why.value
    return (
        dates.moment(one.start, spec.timezone, dates.EN, now),
        dates.deadline(one.end, spec.timezone, dates.EN, now),
        _clock(one.counted) if one.counted else "-",
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
