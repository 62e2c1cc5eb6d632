"""`intake secret new`: a secret of 256 bit, put where the configuration says it lies, and shown to nobody.

Where systemd hands the secret over as a credential there is no file to write: then it is printed. A new token key is
written above the old one, which goes on counting for the mails that are out.
"""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path

from channels.adapter import Clock
from channels.settings import Secret, TelephonySettings, WebchatSettings
from channels.telephony import new_secret
from intake.command.failure import Exit, Failure
from intake.command.setting import configuration
from intake.command.terminal import Screen
from intake.config import Config

TOKEN_KEY = "token-key"  # noqa: S105  # a name, not a secret


async def run(args: Namespace, screen: Screen, clock: Clock) -> Exit:
    if not args.name:
        _told(screen, {"secret": new_secret()}, "{secret}")
        return Exit.OK
    config = configuration(args.config)
    place, advice = _place(config, args.name)
    if place.file is None:
        where = f"/etc/intake/secrets/{place.credential}"
        facts = {"secret": new_secret(), "credential": str(place.credential)}
        _told(
            screen,
            facts,
            f"{{secret}}\n  -> write it to {where}, and LoadCredential={{credential}}:{where} in the unit",
        )
        return Exit.OK
    before = _read(place.file)
    if before and not args.force:
        words = f"{place.file} is there already; nothing was changed"
        raise Failure(Exit.WRONG, words, f"intake secret new {args.name} --force")
    kept = before if args.name == TOKEN_KEY else ""
    _write(place.file, f"{new_secret()}\n{kept}")
    _told(screen, {"file": str(place.file), "replaced": bool(before)}, f"The secret is in {{file}}. {advice}")
    return Exit.OK


def _told(screen: Screen, facts: Mapping[str, object], sentence: str) -> None:
    if screen.is_json:
        screen.json(facts)
    else:
        screen.line(sentence.format(**facts))


def _place(config: Config, name: str) -> tuple[Secret, str]:
    """Where the secret lies, and what is to be done beside. Raises Failure."""
    restart = "The daemon uses it after a restart."
    if name == TOKEN_KEY:
        if config.tokens.key is None:
            mend = 'write [tokens] key = { file = "/etc/intake/secrets/token-key" }'
            raise Failure(Exit.USAGE, "the configuration does not say where the token key lies", mend)
        return config.tokens.key, restart
    settings = config.channels.get(name)
    if isinstance(settings, TelephonySettings):
        url = (config.http.public_url or f"http://{config.http.host}:{config.http.port}") + settings.path
        return settings.secret, f"The exchange posts to {url}/SECRET. {restart}"
    if isinstance(settings, WebchatSettings):
        if settings.session_key is None:
            raise Failure(Exit.USAGE, f"{name} makes its own session key in {config.store.state_dir}")
        return settings.session_key, f"Open chats begin anew. {restart}"
    if settings is not None:
        raise Failure(Exit.USAGE, f"the passwords of {name} are given out by its mail server")
    there = ", ".join(sorted([TOKEN_KEY, *config.channels]))
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
