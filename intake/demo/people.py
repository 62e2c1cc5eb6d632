"""Who lives in the playground: the desk, its agents, some customers; and the secrets made for them.

Nothing here is used in production. The secrets are made once, in files that only their owner may read, and
are the same at the next start. If the power goes while they are made, the missing ones are made next time.
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

FOLDER = "demo"  # within the state directory
PASSWORD_BYTES = 12  # typed into a mail client by hand, perhaps
KEY_BYTES = 32  # of the reply tokens, and of the path the exchange posts to


class Part(StrEnum):
    """What somebody is in the playground."""

    DESK = "desk"
    AGENT = "agent"
    CUSTOMER = "customer"


@dataclass(frozen=True, kw_only=True, slots=True)
class Person:
    """Somebody with a mailbox."""

    address: str
    name: str  # as their mail shows it
    part: Part
    phone: str = ""  # E.164; customers only

    @property
    def key(self) -> str:
        """Local part: names the password's file, and the mailbox in the page's addresses."""
        return self.address.partition("@")[0]


#: The domain whose border server the playground's mail server plays.
HOME = "firm.example"

PEOPLE = (
    Person(address="support@firm.example", name="安信財稅", part=Part.DESK),
    Person(address="chen@firm.example", name="陳怡君", part=Part.AGENT),
    Person(address="lin@firm.example", name="林志豪", part=Part.AGENT),
    Person(address="wu@firm.example", name="吳淑芬", part=Part.AGENT),
    Person(address="meiling@customer.example", name="王美玲", part=Part.CUSTOMER, phone="+886223456789"),
    Person(address="xiaoming@customer.example", name="李晓明", part=Part.CUSTOMER, phone="+8613812345678"),
    Person(address="emma@customer.example", name="Emma Brown", part=Part.CUSTOMER, phone="+442079460123"),
)


def prepare(state_dir: Path) -> dict[str, str]:
    """Make what is missing of the playground's secrets; address -> password.

    `<state_dir>/demo/` (0700) holds `<local part>.password`, `token.key` and `hotline.secret` (0600 each).
    Raises OSError when that cannot be written or read.
    """
    folder = state_dir / FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _kept(folder / "token.key", secrets.token_hex(KEY_BYTES))
    _kept(folder / "hotline.secret", secrets.token_urlsafe(KEY_BYTES))
    return {
        person.address: _kept(folder / f"{person.key}.password", secrets.token_urlsafe(PASSWORD_BYTES))
        for person in PEOPLE
    }


def _kept(path: Path, fresh: str) -> str:
    """The secret in a file; where there is none yet, `fresh`, which is then in it."""
    try:
        kept = path.read_text("utf-8").strip()
    except FileNotFoundError:
        kept = ""
    if kept:
        return kept
    # Written aside and moved: a reader sees all of it or none, whenever the power goes.
    aside = path.with_name(f"{path.name}.new")
    aside.unlink(missing_ok=True)
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(f"{fresh}\n")
    aside.replace(path)
    return fresh
