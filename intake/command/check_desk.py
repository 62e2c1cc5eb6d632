"""What `intake check` says of the desk itself: store, key, agents, calendars, listener; nothing is changed."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from channels.adapter import CheckLine, CheckState, StoreUnavailable
from channels.message import Medium
from channels.settings import TelegramSettings, TelephonySettings, WebchatSettings
from intake import dates
from intake.command import enrolled_lines
from intake.command.failure import Failure
from intake.command.opened import refuse_other_version, revision_of
from intake.config import Config, secret_problems
from intake.promise import measured
from routing.calendars import is_provisional
from routing.overlaying import DayOff
from routing.policy import Policy
from routing.sla import targets_for
from routing.words import Evidence, Kind, OutboxState, Purpose
from store import outbox, tickets, upgrade
from store.engine import Database, Transaction

#: What is sent to agents: whether it arrives tells whether they can be reached.
TO_AGENTS = (Purpose.ASSIGNMENT, Purpose.UPDATE, Purpose.TOLD, Purpose.WARNING, Purpose.BREACH)
MAX_LOOK = 50  # latest mails to an agent that are looked at


def line(subject: str, found: str, problem: str = "", mend: str = "", state: CheckState | None = None) -> CheckLine:
    state = state or (CheckState.BAD if problem else CheckState.OK)
    return CheckLine(subject=subject, name="", found=found, state=state, problem=problem, mend=mend)


def warning(subject: str, found: str, problem: str, mend: str = "") -> CheckLine:
    return line(subject, found, problem, mend, CheckState.WARNING)


# ---- the store


async def store(config: Config, db: Database) -> AsyncIterator[CheckLine]:
    """Where it is, at which schema, how many tickets; then what stands in its way."""
    place = _place(config, db)
    if db.path is not None and not db.path.exists():
        writable = _writable(db.path.parent)
        mend = f"make {db.path.parent} and give it to the daemon's user"
        yield line(
            "store", f"{place}, made at the first start", "" if writable else "its folder may not be written", mend
        )
        return
    try:
        async with db.reading() as tx:
            found = await revision_of(tx)
            count = await tickets.count(tx) if found == upgrade.head() else 0
    except StoreUnavailable as error:
        yield line("store", place, str(error), "see that it runs, and that the daemon's user may read it")
        return
    engine = f", sqlite {sqlite3.sqlite_version}" if db.is_sqlite else ""
    try:
        refuse_other_version(found)
        many = "ticket" if count == 1 else "tickets"
        sealed = ", sealed" if config.store.key is not None else ""
        yield line("store", f"{place}, schema {found}, {count:,} {many}{sealed}{engine}")
    except Failure as failure:
        is_newer = found is not None and found > upgrade.head()
        state = CheckState.BAD if is_newer else CheckState.WARNING
        yield line("store", f"{place}, schema {found or 'none'}{engine}", failure.words, failure.mend, state)
    if db.path is not None:
        for one in _disk(config, db.path):
            yield one


def _place(config: Config, db: Database) -> str:
    if db.path is not None:
        return f"sqlite {_short(db.path)}"
    return f"postgresql {db.url.host or 'localhost'}/{db.url.database}"


def _short(path: Path) -> str:
    """Relative where that is shorter."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _disk(config: Config, path: Path) -> Iterator[CheckLine]:
    if not (os.access(path, os.W_OK) and _writable(path.parent)):
        who = "run check as the daemon's user; if it still says so, give it the folder"
        yield line("store", _short(path), "it may not be written", who)
    usage = shutil.disk_usage(path.parent)
    wanted = min(config.limits.free_space, int(usage.total * config.limits.free_space_share))
    if usage.free < wanted:
        problem = f"{usage.free / 2**20:,.0f} MiB free, {wanted / 2**20:,.0f} MiB wanted: nothing is taken in"
        yield line("store", _short(path.parent), problem, "make room on that disk")


def _writable(folder: Path) -> bool:
    """Whether the folder, or the nearest that is there above it, may be written."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return os.access(folder, os.W_OK)


# ---- secrets


def secrets(config: Config) -> Iterator[CheckLine]:
    """Each one that cannot be read, but a channel's, of which its own line speaks; then the key of the tokens."""
    problems = [p for p in secret_problems(config) if not p.path.startswith("channels.")]
    for problem in problems:
        yield line("secrets", problem.path, problem.message, problem.mend)
    key = config.tokens.key
    if key is None or any(p.path == "tokens.key" for p in problems):
        return
    place = str(key.file or f"credential {key.credential}")
    if key.is_readable_by_others():
        yield warning("key", place, "every user of this machine can read it", f"chmod 600 {place}")
    else:
        yield line("key", place)


# ---- agents


async def agents(config: Config, tx: Transaction | None, now: datetime) -> AsyncIterator[CheckLine]:
    """One line that counts, then one for each who cannot be reached or believed."""
    policy = config.policy
    wrong: list[CheckLine] = []
    for name, agent in policy.agents.items():
        since = await _bounces_since(tx, agent.addresses[0]) if tx is not None else None
        if since is not None:
            day = dates.near(since, policy.timezone, dates.EN, now)
            mend = f"correct agents.{name}.addresses, or ask who runs that mailbox"
            wrong.append(line("agents", f"{name} {agent.addresses[0]}", f"mail comes back since {day}", mend))
    reached = len(policy.agents) - len(wrong)
    total = len(policy.agents)
    yield line("agents", f"{reached} of {total} reachable" if total else "none", *_nobody(total))
    for one in wrong:
        yield one
    for one in (*_evidence(config), *_supervision(config)):
        yield one
    for one in await enrolled_lines.lines(tx, policy, now):
        yield one
    for one in await _promised_too_soon(tx, policy, now):
        yield one


async def _promised_too_soon(tx: Transaction | None, policy: Policy, now: datetime) -> list[CheckLine]:
    """Channels on which people wait, and where half of the answers have come later than they are promised."""
    found = []
    for name, reach in (await measured(tx, policy)).items() if tx is not None else ():
        if name not in policy.channels:
            continue
        medium = Medium(policy.channels[name].medium)
        plan = targets_for(policy, channel=name, medium=medium, kind=Kind.CONSULTATION, urgent=False, at=now)[0]
        if plan.budget.amount >= reach or plan.budget.days:
            continue
        took, key = dates.span(reach, dates.EN), plan.key.partition(".")[2]
        problem = f"half of the answers took {took} or more: visitors are told that; agents hear of them by mail"
        mend = f'let agents work in a chat client, or write [targets.first_response] {key} = "{_written(reach)}"'
        found.append(warning("promise", f"{name} {plan.budget}", problem, mend))
    return found


def _written(length: timedelta) -> str:
    minutes = -(-length // timedelta(minutes=1))
    return f"{minutes}min"


def _nobody(total: int) -> tuple[str, str]:
    return ("", "") if total else ("nobody answers customers", 'write [agents.NAME] with addresses = ["…"]')


async def _bounces_since(tx: Transaction, address: str) -> datetime | None:
    """When the first mail after the last one that arrived came back; None while mail arrives."""
    since = None
    for item in await outbox.to_address(tx, f"mailto:{address}", TO_AGENTS, MAX_LOOK):
        if item.state is OutboxState.FAILED:
            since = since or item.created_at
        elif item.delivered_at is not None:
            since = None
    return since


def _evidence(config: Config) -> Iterator[CheckLine]:
    policy = config.policy
    mail = [c for c in policy.channels.values() if c.medium == Medium.EMAIL]
    needing = [n for n, a in policy.agents.items() if a.evidence & {Evidence.AUTHSERV, Evidence.DKIM_ALIGNED}]
    if needing and mail and not any(c.authserv_id for c in mail):
        problem = "no mail channel names the server whose Authentication-Results count: every reply is held"
        yield line("agents", f"evidence of {_few(needing)}", problem, "set authserv_id in a mail channel")


def _supervision(config: Config) -> Iterator[CheckLine]:
    for name, team in config.policy.teams.items():
        if not team.supervisors and team.members:
            yield warning("agents", f"team {name}", "nobody hears of its breaches", f"set teams.{name}.supervisors")


def _few(names: list[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


# ---- calendars


def calendars(config: Config, now: datetime, said: Sequence[DayOff] = ()) -> Iterator[CheckLine]:
    """One line; what supervisors said; and a Chinese year whose make-up days nobody has published."""
    specs = config.policy.calendars
    yield line("calendar", _few(list(specs)))
    for off in said:
        closes = f" from {off.closes:%H:%M}" if off.closes else ""
        yield line("calendar", f"{off.place} closed on {off.day:%m-%d}{closes}, as a supervisor said")
    for name, spec in specs.items():
        this = now.astimezone(ZoneInfo(spec.timezone)).year
        for year in (this, this + 1):
            if is_provisional(spec, year):
                problem = f"{spec.country} {year} is provisional (no make-up days yet)"
                mend = f"when the notice is published: [calendars.{name}.exceptions]"
                yield warning("calendar", name, problem, mend)


# ---- the listener


async def listener(config: Config, *, daemon_alive: bool) -> CheckLine | None:
    """Whether the port is ours to take; None where no channel needs it."""
    if not any(s.type != "mail" for s in config.channels.values()):
        return None
    place = f"{config.http.host}:{config.http.port}"
    if daemon_alive:
        return line("http", f"{place}, served by the running daemon")
    try:
        server = await asyncio.start_server(lambda r, w: w.close(), config.http.host, config.http.port)
    except OSError as error:
        return line("http", place, f"it cannot be listened on: {error.strerror or error}", "set http.port, or free it")
    server.close()
    return line("http", f"{place}, free")


def addresses(config: Config) -> Iterator[CheckLine]:
    """What the site and the exchange are given; a chat whose own panel would be refused is said."""
    at = config.http.address()
    for name, settings in config.channels.items():
        if isinstance(settings, TelephonySettings):
            yield line("http", f"{name}: {at}{settings.path}/SECRET")
        elif isinstance(settings, TelegramSettings) and settings.webhook_path is not None:
            yield line("http", f"{name}: {at}{settings.webhook_path}, reached as {settings.webhook_url}")
        elif isinstance(settings, WebchatSettings):
            found = f"{name}: {at}{settings.path}/widget.js"
            if origin_of(at) in settings.origins:
                yield line("http", found)
                continue
            # The panel is our own page in a frame: its websocket comes from here, not from the firm's site.
            problem = f"{origin_of(at)} is not in origins: the panel opens its line from there, and is refused"
            mend = f'add "{origin_of(at)}" to channels.{name}.origins'
            if not config.http.public_url:
                mend += ", or set http.public_url to what visitors open"
            yield warning("http", found, problem, mend)


def origin_of(url: str) -> str:
    """As browsers write it: without the path, without the port that goes without saying, in lower case."""
    scheme, _, rest = url.lower().partition("://")
    host = rest.partition("/")[0]
    usual = {"http": ":80", "https": ":443"}.get(scheme, "")
    return f"{scheme}://{host.removesuffix(usual) if usual else host}"
