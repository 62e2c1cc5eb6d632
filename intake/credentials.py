"""A daily look at what ends: client secrets and saved logins of mail channels, said 30, 7 and 1 days ahead, once each.

What has been said is kept beside the channel's cursors, so that a restart does not say it again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import structlog

from channels.adapter import Clock, ProgressNote
from channels.credential_dates import Ending, endings
from channels.mail import token_file
from channels.oauth_file import read_login
from channels.settings import MailSettings
from intake.config import Config
from store import cursors
from store.engine import Database

log = structlog.get_logger(__name__)

LOOK_EVERY = 3600.0  # seconds; more often than daily, so that a machine that was asleep is not late


async def watch_credentials(db: Database, clock: Clock, config: Config, progress: ProgressNote) -> None:
    """Look until cancelled."""
    while True:
        progress("looking at dates", LOOK_EVERY + 60.0)
        await look(db, clock, config)
        await asyncio.sleep(LOOK_EVERY)


async def look(db: Database, clock: Clock, config: Config) -> None:
    """Say what has come near since the last look. Raises StoreUnavailable."""
    now = clock.now()
    for channel, ending in _endings(config):
        mark = ending.mark(now)
        if mark is None:
            continue
        name = f"credential:{ending.what}"
        said = f"{ending.ends_on} {mark}"
        async with db.reading() as tx:
            if await cursors.read(tx, channel, name) == said:
                continue
        async with db.transaction() as tx:
            await cursors.write(tx, {(channel, name): said})
        days = ending.days_left(now)
        log.warning("credential_expiring", channel=channel, what=ending.what, ends_on=str(ending.ends_on), days=days)


def has_dates(config: Config) -> bool:
    """Whether any channel has a credential that can end."""
    return any(isinstance(s, MailSettings) and s.oauth is not None for s in config.channels.values())


def _endings(config: Config) -> Iterator[tuple[str, Ending]]:
    for name, settings in config.channels.items():
        if not isinstance(settings, MailSettings) or settings.oauth is None:
            continue
        try:
            login = read_login(token_file(name, settings, config.store.state_dir))
        except (OSError, ValueError):
            login = None  # the channel's own loop says so
        for ending in endings(name, settings.oauth, login):
            yield name, ending
