"""Names in config.toml that lead nowhere, addresses that two have, rules that decide nothing.

What is wrong is collected, never raised: the caller shows everything at once.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from channels.message import Medium
from intake import config_calendars
from intake.config_assigning import AssignmentTable, RosterTable
from intake.config_tables import (
    AgentTable,
    CalendarTable,
    ChannelKeys,
    CustomerClassTable,
    Desk,
    Limits,
    RuleTable,
    TargetRuleTable,
    TeamTable,
)
from intake.config_words import Problem, closest
from routing.folding import fold

#: The team that is made where the file names none.
TEAM_OF_ALL = "desk"

#: Paths of the listener that are not a channel's.
OWN_PATHS = frozenset({"/", "/healthz"})


@dataclass
class Tables:
    """What could be read of the file. `written` has the names of what stands there, readable or not."""

    desk: Desk
    limits: Limits
    agents: dict[str, AgentTable] = field(default_factory=dict)
    teams: dict[str, TeamTable] = field(default_factory=dict)
    calendars: dict[str, CalendarTable] = field(default_factory=dict)
    channels: dict[str, tuple[ChannelKeys, Any]] = field(default_factory=dict)
    rules: list[tuple[int, RuleTable]] = field(default_factory=list)
    target_rules: list[tuple[int, TargetRuleTable]] = field(default_factory=list)
    customer_classes: list[tuple[int, CustomerClassTable]] = field(default_factory=list)
    targets: Mapping[str, Any] = field(default_factory=dict)
    supervisor_after: Mapping[str, Any] = field(default_factory=dict)
    manager_after: Mapping[str, Any] = field(default_factory=dict)
    written: dict[str, frozenset[str]] = field(default_factory=dict)
    roster: RosterTable = field(default_factory=RosterTable)
    assignment: AssignmentTable = field(default_factory=AssignmentTable)

    def names(self, table: str) -> frozenset[str]:
        return self.written.get(table, frozenset())


@dataclass(frozen=True)
class Checks:
    """Names that lead nowhere, addresses that two have, rules that do nothing."""

    tables: Tables
    calendars: frozenset[str]
    topics: frozenset[str]
    problems: list[Problem]

    def wrong(self, path: str, message: str, mend: str = "") -> None:
        self.problems.append(Problem(path, message, mend))

    def known(self, path: str, what: str, name: str | None, offered: Collection[str]) -> None:
        """`name`, where there is one, must be among those offered."""
        if name and name not in offered:
            self.wrong(path, f'there is no {what} "{name}"', closest(name, offered))

    def all(self) -> None:
        self.desk()
        self.agents()
        self.teams()
        self.addresses()
        self.channels()
        self.paths()
        for place, rule in self.tables.rules:
            self.rule(f"rules[{place}]", rule)

    def desk(self) -> None:
        desk = self.tables.desk
        self.known("desk.calendar", "calendar", desk.calendar, self.calendars)
        if not desk.calendar and len(desk.region) == 2 and desk.region not in self.calendars:
            self.wrong(
                "desk.calendar",
                f"{desk.region} has no built-in calendar",
                'write one as [calendars.office] and calendar = "office" here',
            )
        if desk.timezone and not config_calendars.is_zone(desk.timezone):
            mend = config_calendars.closest_zone(desk.timezone)
            self.wrong("desk.timezone", f'"{desk.timezone}" is no time zone', mend)
        self.known("desk.default_team", "team", desk.default_team, self.tables.names("teams"))
        if len(self.tables.names("teams")) > 1 and not desk.default_team:
            teams = ", ".join(sorted(self.tables.names("teams")))
            self.wrong("desk.default_team", "there are several teams", f"say which takes the rest: {teams}")
        if not self.tables.names("agents"):
            self.wrong("agents", "nobody would answer: there is no agent", "add an [agents.NAME]")
        if not self.tables.names("channels"):
            self.wrong("channels", "nothing would come in: there is no channel", "add a [channels.NAME]")

    def default_team(self) -> str:
        names = sorted(self.tables.names("teams"))
        return self.tables.desk.default_team or (names[0] if len(names) == 1 else TEAM_OF_ALL)

    def agents(self) -> None:
        for name, agent in self.tables.agents.items():
            for topic in agent.topics:
                self.known(f"agents.{name}.topics", "topic", topic, self.topics)

    def teams(self) -> None:
        agents = self.tables.names("agents")
        for name, team in self.tables.teams.items():
            for member in team.members:
                self.known(f"teams.{name}.members", "agent", member, agents)
            for supervisor in team.supervisors:
                self.known(f"teams.{name}.supervisors", "agent", supervisor, agents)
            for manager in team.managers:
                self.known(f"teams.{name}.managers", "agent", manager, agents)
            self.known(f"teams.{name}.calendar", "calendar", team.calendar, self.calendars)

    def addresses(self) -> None:
        """One address belongs to one agent, and never to the desk: it would answer itself."""
        owners = {
            its.address.lower(): f"channels.{name}.address"
            for name, (_, its) in self.tables.channels.items()
            if getattr(its, "address", "")
        }
        for name, agent in self.tables.agents.items():
            path = f"agents.{name}.addresses"
            for address in map(str.lower, agent.addresses):
                owner = owners.setdefault(address, path)
                if owner.startswith("channels."):
                    self.wrong(path, f"{address} is the desk's own address ({owner})", "give the agent's own mailbox")
                elif owner != path:
                    self.wrong(path, f"{address} is already in {owner}", "an address belongs to one agent")

    def channels(self) -> None:
        agents, teams, channels = (self.tables.names(table) for table in ("agents", "teams", "channels"))
        mailboxes: dict[tuple[str, str, str], str] = {}
        doors: dict[str, str] = {}
        for name, (keys, its) in self.tables.channels.items():
            path = f"channels.{name}"
            self.known(f"{path}.team", "team", keys.team, teams)
            self.known(f"{path}.calendar", "calendar", keys.calendar, self.calendars)
            self.known(f"{path}.reply_channel", "channel", keys.reply_channel, channels)
            _, reply = self.tables.channels.get(keys.reply_channel, (None, None))
            if reply is not None and not getattr(reply, "address", ""):
                self.wrong(f"{path}.reply_channel", f'"{keys.reply_channel}" sends no mail', "name a mail channel")
            for user, agent in getattr(its, "users", {}).items():
                self.known(f"{path}.users.{user}", "agent", agent, agents)
            imap = getattr(its, "imap", None)
            for folder in getattr(imap, "folders", ()):
                other = mailboxes.setdefault((its.imap.host.lower(), its.imap.username, folder), name)
                if other != name:
                    self.wrong(f"{path}.imap", f"channels.{other} reads {folder} already", "one channel a folder")
            door = getattr(its, "lmtp", None)
            if door is not None and (other := doors.setdefault(door.place, name)) != name:
                self.wrong(f"{path}.lmtp", f"channels.{other} opens {door.place} already", "one door a channel")

    def paths(self) -> None:
        """Two channels on one path, or one within the other's, would take each other's requests."""
        taken: dict[str, str] = {}
        for name, (_, its) in self.tables.channels.items():
            path = getattr(its, "path", "")
            if not path:
                continue
            for other_path, other in taken.items():
                if f"{path}/".startswith(f"{other_path}/") or f"{other_path}/".startswith(f"{path}/"):
                    self.wrong(f"channels.{name}.path", f'"{path}" is taken by channels.{other}', "choose another")
            if path in OWN_PATHS:
                self.wrong(f"channels.{name}.path", f'"{path}" is the desk\'s own', "choose another")
            taken[path] = name

    def rule(self, path: str, rule: RuleTable) -> None:
        tables = self.tables
        media = {medium.value for medium in Medium}
        for channel in rule.channels:
            self.known(f"{path}.channels", "channel or medium", channel, tables.names("channels") | media)
        self.known(f"{path}.topic", "topic", rule.topic, self.topics)
        self.known(f"{path}.team", "team", rule.team, tables.names("teams"))
        self.known(f"{path}.agent", "agent", rule.agent, tables.names("agents"))
        for sender in rule.senders:
            if "@" not in sender:
                self.wrong(f"{path}.senders", f'"{sender}" is no sender', 'write "a@b.example" or "@b.example"')
        if not any(fold(word).strip() for word in rule.words) and rule.words:
            self.wrong(f"{path}.words", "these words are empty", "leave the key out, or write words")
        is_whole = not any(problem.path.startswith(f"{path}.") for problem in self.problems)
        if is_whole and all(value is None for value in (rule.kind, rule.topic, rule.urgent, rule.team, rule.agent)):
            self.wrong(path, f'"{rule.name}" decides nothing', "give it a kind, topic, urgent, team or agent")
        is_last = path == f"rules[{max(place for place, _ in tables.rules)}]"
        if is_whole and not is_last and not (rule.channels or rule.words or rule.senders):
            self.wrong(path, f'"{rule.name}" holds for everything, so no rule after it is asked', "put it last")
