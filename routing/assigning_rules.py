"""How work is given out: when it waits, for whom, when it is taken back, what follows. The numbers of it.

The defaults were found with `python -m benchmarks routing_sim`; docs/performance.md has the figures.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from routing.loads import LoadRules


class Whom(StrEnum):
    """Who is asked next for a ticket that nobody has, in this order."""

    OWN_AGENT = "own_agent"  # the customer's
    TEAM = "team"
    OTHER_TEAM = "other_team"
    SUPERVISOR = "supervisor"  # is told, and has it to give
    ON_CALL = "on_call"  # out of hours, for what is urgent
    OPENING = "opening"  # the queue of the next opening


@dataclass(frozen=True, slots=True)
class OverflowStep:
    """From this share of the promised time on, these are asked as well."""

    share: float  # 0 to 1, of the time between the start and the due moment
    whom: Whom
    team: str = ""  # of OTHER_TEAM; "": any other


DEFAULT_STEPS = (
    OverflowStep(0.0, Whom.OWN_AGENT),
    OverflowStep(0.15, Whom.TEAM),
    OverflowStep(0.5, Whom.OTHER_TEAM),
    OverflowStep(0.7, Whom.SUPERVISOR),
)


@dataclass(frozen=True, kw_only=True)
class AssigningRules:
    """[assignment] of the configuration."""

    loads: LoadRules = field(default_factory=LoadRules)
    #: Work waits in the desk's queue rather than behind more than this much of an agent's other work.
    start_within: timedelta = timedelta(minutes=2)
    #: What has at least this much time gives way to what has less …
    long_time: timedelta = timedelta(minutes=60)
    #: … while fewer than this share of those on duty have nothing to do.
    reserve: float = 0.4
    #: Share of the time left at the handing out after which an agent who shows no sign of life loses it.
    rescue_share: float = 0.5
    max_rescues: int = 2  # of one target
    #: Who has shown no sign of life since he was given something, for this much longer than it takes, is doubted.
    doubt_after: timedelta = timedelta(seconds=30)
    #: … and is tried again after this long, with work that has time.
    doubt_for: timedelta = timedelta(minutes=30)
    #: A deadline within `hurry_time` goes, where it can, to who has shown a sign of life within `seen_within`.
    hurry_time: timedelta = timedelta(minutes=5)
    seen_within: timedelta = timedelta(minutes=30)
    queues_out_of_hours: bool = False  # what comes while the desk is closed waits for its opening
    on_call: tuple[str, ...] = ()  # agent names, in the order in which they are asked
    steps: tuple[OverflowStep, ...] = DEFAULT_STEPS
