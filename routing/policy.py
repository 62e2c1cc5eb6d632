"""The policy of the desk: what config.toml says about people, hours, targets and rules, as frozen values.

One snapshot is used for a whole batch; its version is written into every decision made with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, time, timedelta
from enum import StrEnum
from functools import cached_property

from routing.assigning_rules import AssigningRules
from routing.learned import NOTHING, Learned
from routing.roster import Roster
from routing.weighing import Weights
from routing.words import Evidence, Kind


class BudgetUnit(StrEnum):
    """How the time of a budget is counted (POLICY.md, Clocks)."""

    WALL = "wall"  # 45s 3min 24h
    WORKING_HOURS = "wh"  # 8wh: only while the calendar is open
    WORKING_DAYS = "wd"  # 3wd: closing time of the Nth working day after the day of receipt
    CALENDAR_DAYS = "d"  # 15d: local midnight that ends the 15th day after receipt


@dataclass(frozen=True, slots=True)
class Budget:
    """How long something may take. `written` is how the policy says it."""

    unit: BudgetUnit
    amount: timedelta  # for WALL and WORKING_HOURS; zero otherwise
    days: int = 0  # for WORKING_DAYS and CALENDAR_DAYS
    written: str = ""

    def __str__(self) -> str:
        return self.written


@dataclass(frozen=True, slots=True)
class Window:
    """One stretch of open hours on a day, local time; `end` 00:00 is the following midnight."""

    start: time
    end: time


@dataclass(frozen=True, kw_only=True)
class CalendarSpec:
    """When an hour counts: weekly windows, public holidays of a country, and exceptions."""

    name: str
    timezone: str  # IANA
    week: Mapping[int, tuple[Window, ...]]  # 0 = Monday; days without windows are closed
    country: str = ""  # ISO 3166-1 for public holidays and make-up workdays; "" for none
    holiday_categories: tuple[str, ...] = ()
    exceptions: Mapping[date, tuple[Window, ...]] = field(default_factory=dict)  # () is closed all day
    complete: frozenset[int] = frozenset()  # years of which every day off is known, whatever the library knows
    version: str = ""  # changes whenever any of the above does


@dataclass(frozen=True, kw_only=True)
class Agent:
    """Somebody who answers customers. The file defines him, the store knows whether he is there."""

    name: str  # key in config.toml, ASCII
    display_name: str  # as customers and colleagues know him
    addresses: tuple[str, ...]  # his mailboxes, lower case; the first is where work is sent
    evidence: frozenset[Evidence]  # which proofs of his mail count
    language: str = "zh-Hant"  # of what the daemon writes to him
    languages: tuple[str, ...] = ("zh-Hant", "zh-Hans", "en")  # he can answer in
    topics: tuple[str, ...] = ()  # he is good at; empty: any
    complaints: bool = False  # certified to handle complaints
    capacity: int = 20  # open tickets at one time
    is_supervisor: bool = False
    login: str = ""  # his login at the border server, where that is not his address
    phone_users: tuple[str, ...] = ()  # how telephone exchanges name him
    signature: tuple[str, ...] = ()  # lines that his mail program puts below his words: customers do not get them
    work_by: str = "mail"  # mail | telegram | both: where work reaches him
    phones: tuple[str, ...] = ()  # his own telephones, "+886912345678": customers read the hotline instead


@dataclass(frozen=True, kw_only=True)
class Team:
    name: str
    display_name: str
    members: tuple[str, ...]  # agent names
    supervisors: tuple[str, ...] = ()  # agent names; told of breaches
    managers: tuple[str, ...] = ()  # agent names; told of what is late for longer still
    calendar: str = ""  # "" for the desk's


@dataclass(frozen=True, kw_only=True)
class Rule:
    """First match wins. Every condition that is given must hold."""

    name: str
    channels: tuple[str, ...] = ()  # names or media
    words: tuple[str, ...] = ()  # any of them in subject or text; NFKC, case-folded
    senders: tuple[str, ...] = ()  # address or @domain
    kind: Kind | None = None
    topic: str | None = None
    urgent: bool | None = None
    team: str | None = None
    agent: str | None = None


@dataclass(frozen=True, kw_only=True)
class CustomerClass:
    """Customers who are promised other times. First match wins; only a sender who is vouched for is of a class."""

    name: str
    senders: tuple[str, ...]  # address or @domain, lower case


@dataclass(frozen=True, kw_only=True)
class TargetRule:
    """Other budgets for some tickets. Of several rules the first that matches and has the budget gives it.

    Every condition that is given must hold; those of several words hold where one of them does.
    """

    name: str
    channels: tuple[str, ...] = ()  # names or media
    kinds: tuple[Kind, ...] = ()
    topics: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()  # of customers
    teams: tuple[str, ...] = ()
    urgent: bool | None = None
    budgets: Mapping[str, Budget] = field(default_factory=dict)  # "first_response", "resolution" … -> how long


@dataclass(frozen=True, kw_only=True)
class ChannelPolicy:
    """What deciding and writing must know of a channel."""

    name: str
    medium: str  # channels.message.Medium
    address: str = ""  # the firm's, for mail
    display_name: str = ""
    team: str = ""  # that takes what no rule directs elsewhere; "" for the desk's default
    calendar: str = ""  # "" for the team's
    region: str = ""
    token_in: str = "plus"  # noqa: S105  # plus | subdomain | references
    token_domain: str = ""
    authserv_id: str = ""
    border_host: str = ""
    null_return_path: bool = True
    acknowledge: bool = True
    web_forms: frozenset[str] = frozenset()  # senders of the firm's own forms, lower case: Reply-To is the customer
    content: str = "full"  # full | notice: whether customers' words go to agents by it
    reply_channel: str = ""  # for channels that cannot carry words back (phone)
    rings: int = 3
    ring_cycle: timedelta | None = None
    machine_numbers: frozenset[str] = frozenset()
    phone_users: Mapping[str, str] = field(default_factory=dict)  # exchange's user -> agent


@dataclass(frozen=True, kw_only=True, slots=True)
class Filing:
    """One return that is filed again and again."""

    key: str  # "CN/filing"
    region: str
    calendar: str  # built-in, by name
    topics: tuple[str, ...]  # whose tickets are tied to it
    months: tuple[int, ...]
    day: int  # of the month, 1 to 28
    breaks: int  # days off in a row within the period that move the date; 0: none does


@dataclass(frozen=True, kw_only=True)
class Topic:
    """One entry of the taxonomy: names to show, words that are evidence for it (folded: NFKC, lower case)."""

    key: str
    names: Mapping[str, str]  # language -> name
    strong: tuple[str, ...] = ()  # count 2
    weak: tuple[str, ...] = ()  # count 1


@dataclass(frozen=True, kw_only=True)
class Policy:
    """Everything a decision may depend on, beside the message and the store."""

    version: str  # hash of all of it
    firm: str
    language: str  # the desk's: of whatever is not addressed to somebody in particular
    region: str
    hotline: str
    calendar: str  # default calendar's name
    timezone: str
    agents: Mapping[str, Agent]
    teams: Mapping[str, Team]
    default_team: str
    calendars: Mapping[str, CalendarSpec]
    #: "first_response.email" -> budget; keys as in POLICY.md, Clocks
    targets: Mapping[str, Budget]
    #: the same keys -> when the supervisor hears of it, counted from the start; absent: at due_at
    supervisor_after: Mapping[str, Budget]
    rules: tuple[Rule, ...]
    channels: Mapping[str, ChannelPolicy]
    target_rules: tuple[TargetRule, ...] = ()  # before `targets`
    classes: tuple[CustomerClass, ...] = ()
    topics: Mapping[str, Topic] = field(default_factory=dict)
    filings: tuple[Filing, ...] = ()  # returns with a date of the law
    filing_calendars: Mapping[str, CalendarSpec] = field(default_factory=dict)  # those that filings name
    #: kind or "urgent" -> cue words, folded
    cues: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    weights: Weights | None = None  # of what stands in messages; None: the words of topics and cues are counted
    is_learning: bool = True  # agents' corrections count in what is told by words
    learned: Learned = NOTHING  # what they have taught; of the store, not of the file
    assigning: AssigningRules = field(default_factory=AssigningRules)
    roster: Roster = field(default_factory=Roster)
    #: keys of `targets` -> when the managers hear of it, counted from when supervisors did; absent: the budget again
    manager_after: Mapping[str, Budget] = field(default_factory=dict)
    #: texts that supervisors may replace -> the placeholders of each
    rewordable: Mapping[str, frozenset[str]] = field(default_factory=dict)
    signatures: Mapping[str, str] = field(default_factory=dict)  # language -> the firm's, under answers by mail
    ack_per_address_and_day: int = 3
    peer_cap: int = 20  # messages of one peer an hour that may still cause anything automatic
    ack_per_domain_and_day: int = 50  # to senders whom nobody knows or vouches for; 0: no cap
    automatic_per_hour: int = 200  # acknowledgements asked for, to everybody; above that they stop; 0: no cap
    closed_token_days: int = 30
    day_mail: bool = True  # at the opening every agent is sent what waits for him
    delivered_mail: bool = True  # at the closing, what of his was delivered
    undo_seconds: int = 0  # that long an agent's answer by mail may be called back; 0: it leaves at once

    def calendar_of(self, channel: str, team: str = "") -> CalendarSpec:
        """The channel's calendar, else the team's, else the desk's."""
        of_channel = self.channels[channel].calendar if channel in self.channels else ""
        of_team = self.teams[team].calendar if team in self.teams else ""
        return self.calendars[of_channel or of_team or self.calendar]

    @cached_property
    def agent_calendars(self) -> dict[str, str]:
        """Agent -> the calendar that he works by: that of the first of his teams that has one, else the desk's."""
        named = ((name, team.calendar) for team in self.teams.values() for name in team.members)
        return {name: calendar for name, calendar in reversed([*named]) if calendar}

    def agent_by_address(self, value: str) -> Agent | None:
        """The agent one of whose mailboxes this is."""
        return self._agents_by_address.get(value.lower())

    @cached_property
    def _agents_by_address(self) -> dict[str, Agent]:
        # Asked for every mail; of two agents with one address the first counts, as the file orders them.
        return {address: agent for agent in reversed(tuple(self.agents.values())) for address in agent.addresses}
