"""`intake check`: is the configuration right, and is everything there that it names? It really connects."""

from __future__ import annotations

import asyncio
from argparse import Namespace
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict

from channels import registry
from channels.adapter import CheckLine, CheckState, Clock, Cursor, StoreUnavailable, Tools, TranscriptLine
from intake.command import check_desk as desk
from intake.command.failure import Exit
from intake.command.opened import revision_of
from intake.command.overlaid import ahead
from intake.command.setting import config_path
from intake.command.status import ask_daemon
from intake.command.terminal import Screen, padded, width, wrap
from intake.compose_words import clean_line
from intake.config import Config, ConfigError, load
from store import cursors, upgrade
from store.engine import Database, Transaction

CHANNEL_TIMEOUT = 60.0  # seconds for one channel
SUBJECT = 9  # columns
FOUND = 62  # columns at most before the mark

_MARKS = {CheckState.OK: ("green", "✓"), CheckState.WARNING: ("yellow", "!"), CheckState.BAD: ("red", "✗")}


async def run(args: Namespace, screen: Screen, clock: Clock) -> Exit:
    path = config_path(args.config)
    try:
        config = load(path, secrets=False)
    except ConfigError as error:
        wrong = [desk.line("config", p.path or str(path), p.message, p.mend) for p in error.problems]
        show_lines(screen, [desk.line("config", str(path), f"{len(wrong)} wrong"), *wrong])
        return Exit.USAGE
    lines = [desk.line("config", str(path)), *[one async for one in _all(config, clock)]]
    if args.probe_mail:
        from intake.command.mail_probe import probed

        lines += await probed(config, clock)
    show_lines(screen, lines)
    return Exit.WRONG if any(one.state is CheckState.BAD for one in lines) else Exit.OK


async def _all(config: Config, clock: Clock) -> AsyncIterator[CheckLine]:
    alive = bool((await ask_daemon(config))["alive"])
    async with AsyncExitStack() as stack:
        tx: Transaction | None = None
        try:
            db = Database(config.store.full_url())
        except (OSError, ValueError) as error:
            yield desk.line("store", "postgresql", f"its password cannot be read: {error}", "run it as root")
        else:
            stack.push_async_callback(db.close)
            async for one in desk.store(config, db):
                yield one
            tx = await _readable(stack, db)
        for one in (*desk.secrets(config), *await channels(config, clock, tx)):
            yield one
        async for one in desk.agents(config, tx, clock.now()):
            yield one
        for one in desk.calendars(config, clock.now(), await ahead(config, clock.now())):
            yield one
        listening = await desk.listener(config, daemon_alive=alive)
        if listening is not None:
            yield listening
        for one in desk.addresses(config):
            yield one


async def _readable(stack: AsyncExitStack, db: Database) -> Transaction | None:
    """The store where it is there and of this version; else nothing is asked of it."""
    if db.path is not None and not db.path.exists():
        return None
    try:
        tx = await stack.enter_async_context(db.reading())
        return tx if await revision_of(tx) == upgrade.head() else None
    except StoreUnavailable:
        return None


async def channels(config: Config, clock: Clock, tx: Transaction | None, only: str = "") -> list[CheckLine]:
    """What every channel says of itself, or `only` one, all asked at once, in the order of the file."""
    tools = harmless(config, clock, tx)
    asked = [_channel(name, settings, tools) for name, settings in config.channels.items() if only in ("", name)]
    return [one for lines in await asyncio.gather(*asked) for one in lines]


async def _channel(name: str, settings: object, tools: Tools) -> Sequence[CheckLine]:
    adapter = registry.build(name, settings, tools)
    try:
        if adapter.checker is None:
            return ()
        async with asyncio.timeout(CHANNEL_TIMEOUT):
            return await adapter.checker.check()
    except TimeoutError:
        problem = f"no answer within {CHANNEL_TIMEOUT:g} s"
        state = CheckState.BAD
        return (CheckLine(subject=adapter.medium.value, name=name, found="", state=state, problem=problem),)
    finally:
        if adapter.close is not None:
            await adapter.close()


def harmless(config: Config, clock: Clock, tx: Transaction | None) -> Tools:
    """Tools with which nothing can be changed."""
    turn = asyncio.Lock()  # the channels are asked at once, and one connection answers one at a time

    async def read_cursor(channel: str, name: str) -> str | None:
        if tx is None:
            return None
        async with turn:
            return await cursors.read(tx, channel, name)

    async def save_cursor(channel: str, cursor: Cursor) -> None:
        return None

    async def transcript(session: str, after: str) -> list[TranscriptLine]:
        return []

    return Tools(
        clock=clock,
        progress=lambda note, next_turn_within: None,
        read_cursor=read_cursor,
        save_cursor=save_cursor,
        transcript=transcript,
        state_dir=str(config.store.state_dir),
    )


# ---- telling


def show_lines(screen: Screen, lines: Iterable[CheckLine]) -> None:
    """Each line as the screen wants it: aligned for people, one object a line for programs."""
    if screen.is_json:
        for one in lines:
            screen.json(asdict(one))
        return
    told = [(one, f"{one.name}: {one.found}" if one.name and one.found else one.name or one.found) for one in lines]
    column = min(FOUND, max(width(found) for _, found in told))
    before = ""
    for one, found in told:
        subject = one.subject if one.subject != before else ""
        before = one.subject
        _line(screen, subject, found, one, column)


def _line(screen: Screen, subject: str, found: str, one: CheckLine, column: int) -> None:
    """`phone    hotline: generic CTI    ✗  the path secret is 40 bit`, and under it what to do."""
    colour, mark = _MARKS[one.state]
    *above, last = _wrapped(found, screen.columns - SUBJECT - 4, column)
    for number, text in enumerate(above):
        screen.line(padded("" if number else subject, SUBJECT) + text)
    start = padded("" if above else subject, SUBJECT) + padded(last, column)
    room = screen.columns - width(start) - 6
    is_beside = width(one.problem) <= room
    screen.line(f"{start}  {screen.paint(colour, mark)}" + (f"  {one.problem}" if one.problem and is_beside else ""))
    indent = " " * (SUBJECT + (column + 5 if is_beside and column <= 50 else 0))
    if one.problem and not is_beside:
        screen.wrapped(one.problem, first=indent, then=indent)
    if one.mend and one.state is not CheckState.OK:
        screen.wrapped(one.mend, first=f"{indent}-> ", then=f"{indent}   ")


def _wrapped(found: str, columns: int, column: int) -> list[str]:
    """What was found, on more than one line where it is longer than fits before the mark."""
    cleaned = clean_line(found, 400)
    return [cleaned] if width(cleaned) <= column else wrap(cleaned, columns)
