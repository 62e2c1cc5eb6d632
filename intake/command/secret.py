"""`intake secret new`: a secret of 256 bit, put where the configuration says it lies.

On a terminal it is shown only where there is no file to write it to. Anywhere else it is printed alone, and what there
is to say about it goes to standard error, so that `intake secret new hotline >file` works, also before there is a
configuration. A new token key is written above the old one, which goes on counting for the mails that are out.
"""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from channels.adapter import Clock
from channels.path_secret import new_secret
from channels.settings import Secret, TelegramSettings, TelephonySettings, WebchatSettings
from intake.command.failure import Exit, Failure
from intake.command.setting import config_path
from intake.command.terminal import Screen
from intake.config import SECRETS, Config, ConfigError, load

TOKEN_KEY = "token-key"  # noqa: S105  # a name, not a secret
STORE_KEY = "store-key"


async def run(args: Namespace, screen: Screen, clock: Clock) -> Exit:
    # Not by `screen.is_json`: a secret in JSON is of no use in a file.
    tell = Telling(screen, is_json=args.form == "json", is_bare=not args.form and not screen.is_terminal)
    secret = new_secret()
    config = _config(args.config) if args.name else None
    if config is None:
        then = f"no configuration says where it lies: write it to {SECRETS / args.name}" if args.name else ""
        tell(secret, {"secret": secret}, secret + (f"\n  -> {then}" if then else ""), aside=then)
        return Exit.OK
    place, advice = _place(config, args.name)
    if place.file is None:
        where = SECRETS / str(place.credential)
        shown = {"secret": secret, "credential": str(place.credential)}
        then = f"write it to {where}, and LoadCredential={place.credential}:{where} in the unit"
        tell(secret, shown, f"{secret}\n  -> {then}", aside=then)
        return Exit.OK
    before = _read(place.file)
    if before and not args.force:
        words = f"{place.file} is there already; nothing was changed"
        raise Failure(Exit.WRONG, words, f"intake secret new {args.name} --force")
    kept = before if args.name in (TOKEN_KEY, STORE_KEY) else ""
    _write(place.file, f"{secret}\n{kept}")
    facts = {"file": str(place.file), "replaced": bool(before)}
    tell(secret, facts, f"The secret is in {place.file}. {advice}", aside=f"it is in {place.file} as well. {advice}")
    return Exit.OK


def _config(written: str | None) -> Config | None:
    """None where there is none that can be used: a secret may be made first, and one may be what it lacks."""
    try:
        return load(config_path(written), secrets=False)
    except ConfigError:
        return None


@dataclass(frozen=True)
class Telling:
    """Facts for programs, a sentence for people, the secret alone for a file."""

    screen: Screen
    is_json: bool
    is_bare: bool

    def __call__(self, secret: str, facts: Mapping[str, object], sentence: str, *, aside: str = "") -> None:
        """`aside` is the sentence without the secret, for people beside a file."""
        if self.is_json:
            self.screen.json(facts)
        elif self.is_bare:
            self.screen.line(secret)
            if aside:
                print(f"  -> {aside}", file=sys.stderr)  # noqa: T201
        else:
            self.screen.line(sentence)


def _place(config: Config, name: str) -> tuple[Secret, str]:
    """Where the secret lies, and what is to be done beside. Raises Failure."""
    restart = "The daemon uses it after a restart."
    if name == TOKEN_KEY:
        if config.tokens.key is None:
            mend = f'write [tokens] key = {{ file = "{SECRETS / TOKEN_KEY}" }}'
            raise Failure(Exit.USAGE, "the configuration does not say where the token key lies", mend)
        return config.tokens.key, restart
    if name == STORE_KEY:
        if config.store.key is None:
            mend = f'write [store] key = {{ file = "{SECRETS / STORE_KEY}" }}'
            raise Failure(Exit.USAGE, "the configuration does not say where the store's key lies", mend)
        return config.store.key, f"{restart} Without it nobody can read what was sealed: keep a copy in a safe place."
    settings = config.channels.get(name)
    if isinstance(settings, TelephonySettings):
        return settings.secret, f"The exchange posts to {config.http.address()}{settings.path}/SECRET. {restart}"
    if isinstance(settings, WebchatSettings):
        if settings.session_key is None:
            raise Failure(Exit.USAGE, f"{name} makes its own session key in {config.store.state_dir}")
        return settings.session_key, f"Open chats begin anew. {restart}"
    if isinstance(settings, TelegramSettings):
        if settings.webhook_secret is None:
            raise Failure(
                Exit.USAGE, f"{name} asks for updates and needs no secret; its token is given out by @BotFather"
            )
        return settings.webhook_secret, f"Telegram is told it at the next start. {restart}"
    if settings is not None:
        raise Failure(Exit.USAGE, f"the passwords of {name} are given out by its mail server")
    there = ", ".join(sorted([TOKEN_KEY, STORE_KEY, *config.channels]))
    raise Failure(Exit.NOT_FOUND, f'there is no secret "{name}"', f"there is: {there}")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(Exit.WRONG, f"{path} cannot be read: {error}", "run it as root") from error


def _write(path: Path, text: str) -> None:
    """For its folder's owner alone, and at one stroke."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            if os.geteuid() == 0:
                owner = path.parent.stat()
                os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise Failure(Exit.WRONG, f"{path} cannot be written: {error.strerror}", "run it as root") from error
