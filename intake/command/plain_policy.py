"""The policy that `explain` and `due` go by: the configuration's, or a plain one where there is none.

The plain one has the taxonomy, the built-in calendar of Taiwan, the default promises, and nobody to answer.
"""

from __future__ import annotations

import os
import tomllib
from argparse import Namespace
from dataclasses import replace
from importlib import resources

from channels.message import Medium
from intake.command.failure import Exit, Failure
from intake.command.setting import VARIABLE, config_path, configuration
from intake.config import Config
from intake.config_calendars import built_in
from intake.config_tables import Desk
from intake.config_words import closest
from routing import taxonomy
from routing.policy import ChannelPolicy, Policy, Team
from routing.sla import DEFAULT_SUPERVISOR_AFTER, DEFAULT_TARGETS

TEAM = "desk"


def found(args: Namespace) -> tuple[Policy, Config | None]:
    """The policy, and the configuration it is from. Raises Failure where one is there and cannot be used."""
    is_named = bool(args.config or os.environ.get(VARIABLE))
    if not is_named and not config_path(None).exists():
        return plain(), None
    config = configuration(args.config)
    return config.policy, config


def plain() -> Policy:
    """A desk that nobody has configured."""
    defaults = Desk.model_construct(firm="")
    calendars = built_in()
    data = tomllib.loads(resources.files("intake").joinpath("texts", "taxonomy.toml").read_text("utf-8"))
    return Policy(
        version="plain",
        firm="",
        language=defaults.language,
        region=defaults.region,
        hotline="",
        calendar=defaults.region,
        timezone=calendars[defaults.region].timezone,
        agents={},
        teams={TEAM: Team(name=TEAM, display_name="", members=())},
        default_team=TEAM,
        calendars=calendars,
        targets=DEFAULT_TARGETS,
        supervisor_after=DEFAULT_SUPERVISOR_AFTER,
        rules=(),
        channels={},
        topics=taxonomy.topics(data),
        cues=taxonomy.cues(data),
    )


def with_media(policy: Policy) -> Policy:
    """The policy with a channel for every medium it has none of, under the medium's own name."""
    there = {channel.medium for channel in policy.channels.values()}
    missing = [medium.value for medium in Medium if medium.value not in there]
    return replace(policy, channels={**{m: ChannelPolicy(name=m, medium=m) for m in missing}, **policy.channels})


def channel_called(policy: Policy, name: str) -> ChannelPolicy:
    """The channel of that name, else the first of that medium. Raises Failure."""
    if name in policy.channels:
        return policy.channels[name]
    of_medium = next((c for c in policy.channels.values() if c.medium == name), None)
    if of_medium is None:
        there = sorted({*policy.channels, *(m.value for m in Medium)})
        raise Failure(Exit.NOT_FOUND, f'there is no channel "{name}"', f"there is: {', '.join(there)}")
    return of_medium


def topic_called(policy: Policy, name: str) -> str:
    """A topic of the taxonomy, "" for none. Raises Failure."""
    if name and name not in policy.topics:
        raise Failure(Exit.NOT_FOUND, f'there is no topic "{name}"', closest(name, policy.topics))
    return name


def class_called(policy: Policy, name: str) -> str:
    """A class of customers of the configuration, "" for everybody's. Raises Failure."""
    there = [one.name for one in policy.classes]
    if name and name not in there:
        mend = closest(name, there) if there else "write [[customer_classes]] into config.toml"
        raise Failure(Exit.NOT_FOUND, f'there is no class "{name}"', mend)
    return name
