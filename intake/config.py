"""config.toml: read, checked whole, and turned into frozen values.

`load` either returns a configuration that can be used, or raises `ConfigError` with everything that is wrong with
it. Nothing is half applied: a wrong file at SIGHUP leaves the old configuration as it was. Secrets are not kept
here, only where they lie.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from channels.path_secret import secret_problem
from channels.settings import AS_THE_SERVICE, Secret, TelegramSettings, TelephonySettings
from intake import config_policy
from intake.config_assigning import AssignmentTable, RosterTable
from intake.config_file import SINGLE, Reading, parsed
from intake.config_names import Tables
from intake.config_tables import (
    AgentTable,
    CalendarTable,
    CustomerClassTable,
    Desk,
    Http,
    Limits,
    Log,
    RuleTable,
    Store,
    TargetRuleTable,
    TeamTable,
    Tokens,
)
from intake.config_words import ConfigError, Problem, closest
from routing.policy import Policy

__all__ = ["Config", "ConfigError", "Problem", "diff_restart", "load", "reloaded", "secret_problems"]

MIN_KEY = 32  # characters: 128 bit in hexadecimal
SECRETS = Path("/etc/intake/secrets")  # where the unit's LoadCredential= takes them from

#: What SIGHUP changes as one snapshot; every other key needs a restart. `log.level` beside them.
_HOT = (
    *("agents", "teams", "roster", "assignment", "calendars"),
    *("targets", "target_rules", "customer_classes", "supervisor_after", "manager_after", "rules"),
)
_TABLES = frozenset({*SINGLE, *_HOT, "channels"})


@dataclass(frozen=True, kw_only=True)
class Config:
    """A configuration that can be used. Paths are absolute."""

    path: Path  # of the file
    desk: Desk
    store: Store
    http: Http
    log: Log
    tokens: Tokens
    limits: Limits
    channels: Mapping[str, Any]  # name -> one of channels.settings.ChannelSettings
    policy: Policy
    is_demo: bool = False
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)  # the file, parsed
    values: Mapping[str, Any] = field(default_factory=dict, repr=False)  # "imap.port" and so on, with defaults


def load(path: Path, *, demo: bool = False, secrets: bool = True) -> Config:
    """Read and check a file. Raises `ConfigError`, with all problems.

    `demo`: the playground, which makes its own secrets after this: none is looked for, and `tokens.key` may be
    absent. `secrets=False` is for commands that need none of them and may not be allowed to read them.
    """
    config = _checked(parsed(path), path.absolute(), demo=demo)
    if secrets and not demo and (problems := secret_problems(config)):
        raise ConfigError(problems)
    return config


def reloaded(old: Config, new: Config) -> Config:
    """What runs after SIGHUP: the changeable parts of `new`, the rest as in `old`. Raises `ConfigError`.

    A changeable part may lean on one that is not, a rule on a new channel: then it is refused, with its path.
    """
    raw = {key: value for key, value in old.raw.items() if key not in _HOT}
    raw |= {key: value for key, value in new.raw.items() if key in _HOT}
    raw["log"] = {**old.raw.get("log", {}), "level": new.log.level}
    return _checked(raw, old.path, demo=old.is_demo)


def diff_restart(old: Config, new: Config) -> list[str]:
    """The keys that differ and need a restart, in order; a channel that came or went is named as a whole."""
    changed = set()
    for key in old.values.keys() | new.values.keys():
        if old.values.get(key) == new.values.get(key) or key == "log.level":
            continue
        table, _, rest = key.partition(".")
        name = rest.partition(".")[0]
        is_moved = table == "channels" and (name in old.channels) != (name in new.channels)
        changed.add(f"channels.{name}" if is_moved else key)
    return sorted(changed)


def secret_problems(config: Config) -> list[Problem]:
    """Secrets that cannot be read, and those of our own making that are too weak. What they are is never said."""
    problems = []
    for path, secret in _secrets(config):
        try:
            text = secret.read()
        except OSError as error:
            reason = f"cannot read {error.filename}: {error.strerror}" if error.filename else str(error)
            problems.append(Problem(path, reason, _mend(path, secret, config)))
        except UnicodeDecodeError:
            problems.append(Problem(path, "the secret is no text", "write it as UTF-8, on one line"))
        except ValueError:
            problems.append(Problem(path, "the secret is empty", "write it into the file, on one line"))
        else:
            if weakness := _weakness(path, text, config):
                problems.append(Problem(path, weakness, _mend(path, secret, config)))
    return problems


def _weakness(path: str, text: str, config: Config) -> str:
    if path.startswith("tokens.") or path == "store.key":
        return f"the key is shorter than {MIN_KEY} characters" if len(text) < MIN_KEY else ""
    return secret_problem(text) if _own_name(path, config) else ""


def _own_name(path: str, config: Config) -> str:
    """What `intake secret new` calls a secret that we make ourselves; "" for what others give out."""
    name, _, key = path.partition(".")[2].partition(".")
    if path == "tokens.key":
        return "token-key"
    if path == "store.key":
        return "store-key"
    settings = config.channels.get(name)
    is_ours = (key == "secret" and isinstance(settings, TelephonySettings)) or (
        key == "webhook_secret" and isinstance(settings, TelegramSettings)
    )
    return name if is_ours else ""


def _mend(path: str, secret: Secret, config: Config) -> str:
    """What to do about one that is missing or too weak."""
    if secret.is_awaited:
        return AS_THE_SERVICE
    if name := _own_name(path, config):
        return f"make one with: intake secret new {name} >{secret.file or SECRETS / str(secret.credential)}"
    return "make it, readable by the daemon's user alone (mode 0600)"


def _secrets(config: Config) -> Iterator[tuple[str, Secret]]:
    tables = {name: getattr(config, name) for name in SINGLE}
    tables |= {f"channels.{name}": settings for name, settings in config.channels.items()}
    for name, table in tables.items():
        yield from _secrets_in(name, table)


def _secrets_in(path: str, value: Any) -> Iterator[tuple[str, Secret]]:
    if isinstance(value, Secret):
        yield path, value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _secrets_in(f"{path}.{name}", getattr(value, name))
    elif isinstance(value, tuple):
        for place, item in enumerate(value):
            yield from _secrets_in(f"{path}[{place}]", item)


def _checked(raw: dict[str, Any], path: Path, *, demo: bool) -> Config:
    """Every table read, every name followed. Raises `ConfigError`."""
    reading = Reading(raw, path.parent, [])
    problems = reading.problems
    problems += [Problem(key, f'unknown table "{key}"', closest(key, _TABLES)) for key in raw if key not in _TABLES]
    single = {name: reading.single(name, model) for name, model in SINGLE.items()}
    tables = Tables(
        desk=single["desk"],
        limits=single["limits"],
        channels=reading.channels(),
        rules=reading.listed("rules", RuleTable),
        target_rules=reading.listed("target_rules", TargetRuleTable),
        customer_classes=reading.listed("customer_classes", CustomerClassTable),
        targets=reading.table("targets"),
        supervisor_after=reading.table("supervisor_after"),
        manager_after=reading.table("manager_after"),
        agents=reading.named("agents", AgentTable),
        teams=reading.named("teams", TeamTable),
        calendars=reading.named("calendars", CalendarTable),
        roster=reading.single("roster", RosterTable),
        assignment=reading.single("assignment", AssignmentTable),
        written={n: frozenset(reading.table(n)) for n in ("agents", "teams", "calendars", "channels")},
    )
    policy = config_policy.build(tables, problems)
    if single["tokens"].key is None and not demo and "key" not in reading.table("tokens"):
        place = SECRETS / "token-key"
        mend = f'write [tokens] key = {{ file = "{place}" }}, and make it with: intake secret new token-key >{place}'
        problems.append(Problem("tokens.key", "without a key no answer can be told from a forged one", mend))
    if problems or policy is None:
        raise ConfigError(_once(problems))
    channels = {name: settings for name, (_, settings) in tables.channels.items()}
    values: dict[str, Any] = {}
    for name, table in single.items():
        values |= _flat(name, table.model_dump())
    for name, (keys, settings) in tables.channels.items():
        values |= _flat(f"channels.{name}", {**settings.model_dump(), **keys.model_dump()})
    return Config(path=path, channels=channels, policy=policy, is_demo=demo, raw=raw, values=values, **single)


def _once(problems: list[Problem]) -> list[Problem]:
    """Each path and message once: branches of a union report one after the other."""
    seen: dict[tuple[str, str], Problem] = {}
    for problem in problems:
        earlier = seen.get((problem.path, problem.message))
        if earlier is None:
            seen[problem.path, problem.message] = problem
        elif problem.mend and problem.mend not in earlier.mend:
            joined = f"{earlier.mend} or {problem.mend.removeprefix('one of ')}"
            seen[problem.path, problem.message] = Problem(problem.path, problem.message, joined)
    return list(seen.values())


def _flat(path: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        return {path: value}
    return {key: inner for name, item in value.items() for key, inner in _flat(f"{path}.{name}", item).items()}
