"""From the tables of config.toml to the policy of the desk; every name that leads nowhere is reported.

What is wrong is collected, never raised: the caller shows everything at once.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from functools import cache
from importlib import resources
from typing import Any

from channels.phone_numbers import spellings
from channels.registry import MEDIA
from intake import config_assigning, config_calendars, config_targets
from intake.config_names import TEAM_OF_ALL, Checks, Tables
from intake.config_roster import roster
from intake.config_tables import AgentTable, ChannelKeys, RuleTable
from intake.config_words import Problem, closest
from routing import taxonomy
from routing.budgets import BadBudget, parse_budget
from routing.folding import fold
from routing.policy import Agent, Budget, CalendarSpec, ChannelPolicy, Policy, Rule, Team
from routing.sla import DEFAULT_SUPERVISOR_AFTER, DEFAULT_TARGETS, TARGET_KEYS
from routing.statutes import filings
from routing.weighing import Weights, parsed


def build(tables: Tables, problems: list[Problem]) -> Policy | None:
    """The policy; None where anything is wrong, which then is in `problems`."""
    data = tomllib.loads(resources.files("intake").joinpath("texts", "taxonomy.toml").read_text("utf-8"))
    topics = taxonomy.topics(data)
    known = filings(tomllib.loads(resources.files("intake").joinpath("texts", "filings.toml").read_text("utf-8")))
    calendars = config_calendars.specs(tables.calendars, problems)
    check = Checks(tables, frozenset({*calendars, *tables.names("calendars")}), frozenset(topics), problems)
    check.all()
    targets = _budgets("targets", tables.targets, DEFAULT_TARGETS, problems)
    supervisor_after = _budgets("supervisor_after", tables.supervisor_after, DEFAULT_SUPERVISOR_AFTER, problems)
    target_rules = config_targets.rules(tables, frozenset(topics), problems)
    classes = config_targets.classes(tables, problems)
    manager_after = _budgets("manager_after", tables.manager_after, {}, problems)
    assigning = config_assigning.rules(tables.assignment, tables.names("agents"), problems)
    people = roster(tables.roster.file, _zone(tables, calendars), tables.names("agents"), problems)
    if problems:
        return None
    desk = tables.desk
    calendar = desk.calendar or desk.region
    policy = Policy(
        version="",
        firm=desk.firm,
        language=desk.language,
        region=desk.region,
        hotline=desk.hotline,
        signatures={str(language): words for language, words in desk.signature.items()},
        calendar=calendar,
        timezone=desk.timezone or calendars[calendar].timezone,
        agents={name: _agent(name, table) for name, table in tables.agents.items()},
        teams=_teams(tables),
        default_team=check.default_team(),
        assigning=assigning,
        roster=people,
        calendars=_used(calendars, tables, calendar),
        targets=targets,
        supervisor_after=supervisor_after,
        manager_after=manager_after,
        target_rules=target_rules,
        classes=classes,
        rules=tuple(_rule(table) for _, table in tables.rules),
        channels={name: _channel(name, keys, its) for name, (keys, its) in tables.channels.items()},
        topics=topics,
        filings=known,
        filing_calendars={one.calendar: config_calendars.built_in()[one.calendar] for one in known},
        cues=taxonomy.cues(data),
        is_learning=tables.desk.learning,
        ack_per_address_and_day=tables.limits.ack_per_address_and_day,
        peer_cap=tables.limits.peer_cap,
        ack_per_domain_and_day=tables.limits.ack_per_domain_and_day,
        automatic_per_hour=tables.limits.automatic_per_hour,
        closed_token_days=tables.limits.closed_token_days,
        undo_seconds=tables.desk.undo_seconds,
        day_mail=tables.desk.day_mail,
        delivered_mail=tables.desk.delivered_mail,
    )
    weights = _weights()
    return replace(policy, version=_version(replace(policy, version=weights.version)), weights=weights)


@cache
def _weights() -> Weights:
    """What the words of messages count for, as shipped: read once, half a megabyte."""
    return parsed(resources.files("intake").joinpath("texts", "weights.txt").read_text("utf-8"))


def _zone(tables: Tables, calendars: Mapping[str, CalendarSpec]) -> str:
    """Of the times in the roster: the desk's; of a desk that is refused, any."""
    spec = calendars.get(tables.desk.calendar or tables.desk.region)
    found = tables.desk.timezone or (spec.timezone if spec is not None else "")
    return found if config_calendars.is_zone(found) else "UTC"


def _teams(tables: Tables) -> dict[str, Team]:
    if not tables.names("teams"):
        supervisors = tuple(name for name, agent in tables.agents.items() if agent.supervisor)
        members = tuple(name for name in tables.agents if name not in supervisors) or supervisors
        everybody = Team(name=TEAM_OF_ALL, display_name=tables.desk.firm, members=members, supervisors=supervisors)
        return {TEAM_OF_ALL: everybody}
    return {
        name: Team(
            name=name,
            display_name=team.display_name,
            members=team.members,
            supervisors=team.supervisors,
            managers=team.managers,
            calendar=team.calendar,
        )
        for name, team in tables.teams.items()
    }


def _agent(name: str, table: AgentTable) -> Agent:
    return Agent(
        name=name,
        display_name=table.display_name,
        addresses=table.addresses,
        evidence=frozenset(table.evidence),
        language=table.language,
        languages=table.languages,
        topics=table.topics,
        complaints=table.complaints,
        capacity=table.capacity,
        is_supervisor=table.supervisor,
        login=table.login,
        phone_users=table.phone_users,
        signature=tuple(line for line in table.signature.splitlines() if line.strip()),
        phones=table.phones,
        work_by=table.work_by,
    )


def _rule(table: RuleTable) -> Rule:
    return Rule(
        name=table.name,
        channels=table.channels,
        words=tuple(folded for word in table.words if (folded := fold(word).strip())),
        senders=tuple(sender.lower() for sender in table.senders),
        kind=table.kind,
        topic=table.topic,
        urgent=table.urgent,
        team=table.team,
        agent=table.agent,
    )


def _channel(name: str, keys: ChannelKeys, settings: Any) -> ChannelPolicy:
    """Settings of any type: what a type has no word for keeps the policy's default."""
    shared = (
        *("address", "display_name", "region", "token_in", "token_domain", "authserv_id", "border_host"),
        *("null_return_path", "acknowledge", "rings", "ring_cycle", "content"),
    )
    told = {key: value for key in shared if (value := getattr(settings, key, None)) is not None}
    return ChannelPolicy(
        name=name,
        medium=MEDIA[settings.type].value,
        team=keys.team,
        calendar=keys.calendar,
        reply_channel=keys.reply_channel,
        machine_numbers=spellings(getattr(settings, "machine_numbers", ()), getattr(settings, "region", "")),
        phone_users=dict(getattr(settings, "users", {})),
        web_forms=frozenset(one.lower() for one in getattr(settings, "web_forms", ())),
        **told,
    )


def _used(calendars: Mapping[str, CalendarSpec], tables: Tables, desk: str) -> dict[str, CalendarSpec]:
    """Those that anything names, or that the file writes: a policy does not change with a calendar nobody uses."""
    named = {desk, *tables.calendars}
    named |= {team.calendar for team in tables.teams.values()}
    named |= {keys.calendar for keys, _ in tables.channels.values()}
    return {name: spec for name, spec in calendars.items() if name in named}


def _budgets(
    table: str, written: Mapping[str, Any], defaults: Mapping[str, Budget], problems: list[Problem]
) -> dict[str, Budget]:
    found = dict(defaults)
    for key, text in _flat(written):
        path = f"{table}.{key}"
        if key not in TARGET_KEYS:
            problems.append(Problem(path, f'unknown key "{key}"', closest(key, TARGET_KEYS)))
        elif not isinstance(text, str):
            problems.append(Problem(path, "this must be a text", 'write for example "8wh"'))
        else:
            try:
                found[key] = parse_budget(text)
            except BadBudget as error:
                problems.append(Problem(path, str(error), error.mend))
    return found


def _flat(table: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value


def _version(policy: Policy) -> str:
    """A hash of everything in it: the same file gives the same version on every machine."""

    def plain(value: Any) -> Any:
        return sorted(value) if isinstance(value, frozenset) else str(value)

    def keyed(value: Any) -> Any:
        if isinstance(value, dict):
            return {str(key): keyed(inner) for key, inner in value.items()}
        return [keyed(inner) for inner in value] if isinstance(value, list | tuple) else value

    text = json.dumps(keyed(asdict(policy)), sort_keys=True, default=plain, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
