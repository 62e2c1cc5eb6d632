"""The tables of config.toml: which keys there are, of which type, with which defaults.

Channels are not here: their settings are in `channels/settings.py`, one model per type.
"""

from __future__ import annotations

import re
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit, urlunsplit

from pydantic import BeforeValidator, Field, field_validator, model_validator

from channels.settings import MIB, Duration, Port, Secret, Strict
from routing.words import Evidence, Kind
from store.seal import Seal

GIB = 1024 * MIB
Language = Literal["zh-Hant", "zh-Hans", "en"]


def _region(value: object) -> object:
    if isinstance(value, str) and not (len(value) == 2 and value.isascii() and value.isupper()):
        raise ValueError(f'"{value}" is no country code: write two capital letters, for example "TW" or "HK"')
    return value


Region = Annotated[str, BeforeValidator(_region)]

_SIZES = {"KiB": 1024, "MiB": MIB, "GiB": GIB}


def _size(value: object) -> object:
    """`"512MiB"` as octets; whole numbers are octets already."""
    if isinstance(value, str):
        for unit, factor in _SIZES.items():
            number = value.removesuffix(unit).strip()
            if value.endswith(unit) and number.isascii() and number.isdigit() and len(number) < 8:
                return int(number) * factor
        raise ValueError(f'"{value}" is no size: write for example "512MiB" or "1GiB"')
    return value


Size = Annotated[int, BeforeValidator(_size)]


class Desk(Strict):
    """The firm, and what holds where nothing nearer is said."""

    firm: str = Field(min_length=1)
    language: Language = "zh-Hant"
    region: Region = "TW"
    timezone: str = ""  # IANA; "": the calendar's
    calendar: str = ""  # "": the region's built-in one
    hotline: str = ""
    undo_seconds: int = Field(default=0, ge=0, le=60)  # that long an answer by mail may be called back
    default_team: str = ""  # "": the only team
    day_mail: bool = True  # at the opening of a shift: what waits for each agent
    delivered_mail: bool = True  # at its closing: what of his was delivered
    learning: bool = True  # what agents put right (!topic, !kind, !urgent) counts when the next ones are told apart
    signature: dict[Language, Annotated[str, Field(min_length=1, max_length=600)]] = Field(default_factory=dict)


class Store(Strict):
    """Where everything is kept."""

    url: str = "sqlite:///var/intake.db"
    password: Secret | None = None  # of a postgresql:// url
    key: Secret | None = None  # seals what people wrote, at rest; None: it is kept as it came
    state_dir: Path = Path("var")

    @field_validator("url")
    @classmethod
    def _is_known(cls, value: str) -> str:
        # The url itself is never repeated: it may hold a password.
        if not value.startswith(("sqlite:///", "postgresql://")):
            raise ValueError('write "sqlite:///var/intake.db" or "postgresql://user@host/database"')
        try:
            has_password = bool(urlsplit(value).password)
        except ValueError:
            raise ValueError("this is no url") from None
        if has_password:
            raise ValueError(
                'a password does not belong in this file: take it out of the url and write password = { file = "…" }'
            )
        return value

    @model_validator(mode="after")
    def _fits(self) -> Store:
        if self.password is not None and self.url.startswith("sqlite:"):
            raise ValueError("SQLite has no password")
        return self

    def seal(self) -> Seal | None:
        """The keys that what people wrote is sealed with; None where none is configured. Raises OSError, ValueError."""
        return Seal.from_secret(self.key.read()) if self.key is not None else None

    def full_url(self) -> str:
        """The url with the password in it: for the driver, never for a log. Raises OSError, ValueError."""
        if self.password is None:
            return self.url
        from urllib.parse import quote

        parts = urlsplit(self.url)
        user, _, host = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"{user}:{quote(self.password.read(), safe='')}@{host}"))


class Http(Strict):
    """The one listener of web chat, telephony and /healthz."""

    host: str = "127.0.0.1"
    port: Port = 8080
    public_url: str = ""  # as the world sees it, behind a proxy; "": http://HOST:PORT
    proxies: tuple[str, ...] = ()  # networks whose X-Forwarded-For is believed: the firm's own proxy

    def address(self) -> str:
        """What the world opens, without a slash at the end: "https://desk.firm.example"."""
        return self.public_url or f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    @field_validator("proxies")
    @classmethod
    def _are_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for network in value:
            try:
                ip_network(network, strict=False)
            except ValueError:
                raise ValueError(f'"{network}" is no network: write "127.0.0.1" or "10.0.0.0/8"') from None
        return value

    @field_validator("public_url")
    @classmethod
    def _is_url(cls, value: str) -> str:
        if value and (not value.startswith(("https://", "http://")) or value.endswith("/")):
            raise ValueError('write it like "https://desk.firm.example", without a slash at the end')
        return value


class Log(Strict):
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "console"] = "auto"  # auto: console on a terminal, else JSON


class Tokens(Strict):
    """The key that signs reply addresses (G8)."""

    key: Secret | None = None  # None in the playground only, which makes one
    previous_keys: tuple[Secret, ...] = ()  # still accepted while older mails are answered


class Limits(Strict):
    """What one message, and the daemon, may cost."""

    parser_workers: int = Field(default=0, ge=0, le=64)  # 0: one fewer than there are processors, at least one
    parser_cpu: Duration = timedelta(seconds=5)  # a message
    parser_memory: Size = Field(default=512 * MIB, ge=64 * MIB)  # octets, a worker
    free_space: Size = Field(default=GIB, ge=0)  # octets; with less, or …
    free_space_share: float = Field(default=0.05, ge=0, lt=1)  # … a smaller share of the disk free, reading stops
    drain_timeout: Duration = timedelta(seconds=25)  # below TimeoutStopSec= of the unit
    batch_size: int = Field(default=100, ge=1, le=1000)  # messages decided in one transaction
    retries: tuple[Duration, ...] = tuple(timedelta(minutes=m) for m in (1, 5, 15, 60))
    retry_every: Duration = timedelta(hours=4)  # after those
    retry_for: Duration = timedelta(days=5)
    unknown_retry_after: Duration = timedelta(minutes=15)
    bundle_chat: Duration = timedelta(seconds=5)  # a chat's lines that follow the first mail leave together after it
    ack_per_address_and_day: int = Field(default=3, ge=0)
    peer_cap: int = Field(default=20, ge=1)  # messages of one peer an hour that may still cause anything automatic
    ack_per_domain_and_day: int = Field(default=50, ge=0)  # to senders whom nobody knows or vouches for; 0: no cap
    automatic_per_hour: int = Field(default=200, ge=0)  # acknowledgements to everybody; above it they stop; 0: no cap
    closed_token_days: int = Field(default=30, ge=0)  # a reply address lives on after its ticket was closed


class AgentTable(Strict):
    """[agents.NAME]"""

    display_name: str = Field(min_length=1)
    addresses: tuple[str, ...] = Field(min_length=1)  # the first is where work is sent
    evidence: tuple[Evidence, ...] = Field(default=(Evidence.AUTHSERV,), min_length=1)
    language: Language = "zh-Hant"
    languages: tuple[Language, ...] = ("zh-Hant", "zh-Hans", "en")
    topics: tuple[str, ...] = ()
    complaints: bool = False
    capacity: int = Field(default=20, ge=1)
    supervisor: bool = False
    login: str = ""
    phone_users: tuple[str, ...] = ()
    signature: str = Field(default="", max_length=800)
    phones: tuple[str, ...] = ()
    work_by: Literal["mail", "telegram", "both"] = "mail"

    @field_validator("evidence")
    @classmethod
    def _are_of_mails(cls, value: tuple[Evidence, ...]) -> tuple[Evidence, ...]:
        if Evidence.TELEGRAM_ID in value:
            raise ValueError("a Telegram account is made known by a code, `intake enrol NAME`, and is not written here")
        return value

    @field_validator("phones")
    @classmethod
    def _are_numbers(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for number in value:
            if not re.fullmatch(r"\+[1-9][0-9 ()-]{6,20}[0-9]", number):
                raise ValueError(f'"{number}" is no number: write it with its country, "+886912345678"')
        return value

    @field_validator("addresses")
    @classmethod
    def _are_addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for address in value:
            local, _, domain = address.rpartition("@")
            if not local or not domain or any(c.isspace() for c in address):
                raise ValueError(f'"{address}" is no mail address: write it whole, "name@firm.example"')
        return tuple(address.lower() for address in value)


class TeamTable(Strict):
    """[teams.NAME]"""

    display_name: str = Field(min_length=1)
    members: tuple[str, ...] = Field(min_length=1)
    supervisors: tuple[str, ...] = ()
    managers: tuple[str, ...] = ()  # they hear of what is late for longer still
    calendar: str = ""


class CalendarTable(Strict):
    """[calendars.NAME]: what is left out is taken from `like`, or from the built-in calendar of that name."""

    like: str = ""
    timezone: str = ""
    country: str | None = None  # ISO 3166-1, or 3166-2 ("GB-ENG"); "" for no public holidays
    holiday_categories: tuple[str, ...] | None = None
    hours: dict[str, tuple[str, ...]] | None = None  # "mon-fri" -> ["09:00-12:00", "13:30-18:00"]
    #: "2027-02-13" -> ["09:00-12:00"], or "closed", or "workday": the hours of an ordinary working day
    exceptions: dict[str, str | tuple[str, ...]] = Field(default_factory=dict)
    files: tuple[Path, ...] = Field(default=(), max_length=20)  # days in files of their own: .toml, .csv, .ics


class RuleTable(Strict):
    """[[rules]]"""

    name: str = Field(min_length=1)
    channels: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    senders: tuple[str, ...] = ()
    kind: Kind | None = None
    topic: str | None = None
    urgent: bool | None = None
    team: str | None = None
    agent: str | None = None


class CustomerClassTable(Strict):
    """[[customer_classes]]"""

    name: str = Field(min_length=1, max_length=40)
    senders: tuple[str, ...] = Field(min_length=1)


class TargetRuleTable(Strict):
    """[[target_rules]]: conditions, then how long what may take."""

    name: str = Field(min_length=1, max_length=60)
    channels: tuple[str, ...] = ()
    kinds: tuple[Kind, ...] = ()
    topics: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    teams: tuple[str, ...] = ()
    urgent: bool | None = None
    first_response: str | None = None
    next_response: str | None = None
    resolution: str | None = None
    report_back: str | None = None
    initial_opinion: str | None = None
    callback: str | None = None


class ChannelKeys(Strict):
    """The keys of [channels.NAME] that are the desk's, whatever the channel's type."""

    team: str = ""
    calendar: str = ""
    reply_channel: str = ""  # for channels that cannot carry words back: the mail channel that does
