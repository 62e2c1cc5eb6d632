"""What each channel may be told in config.toml: one model per type.

Light on purpose: the configuration is checked before any network library is imported. Unknown keys are refused.
Secrets are never written in the file: they come from a file of their own or from a systemd credential.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from datetime import date, datetime, timedelta
from importlib.util import find_spec
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    field_validator,
    model_validator,
)

from channels.pacing import Pace, preset

MIB = 1024 * 1024


class Strict(BaseModel):
    """A table of config.toml: frozen, and unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


_UNITS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


def _duration(value: object) -> object:
    """`"45s"`, `"3min"`, `"24h"`, `"2d"` as a timedelta; anything else is left for pydantic to refuse."""
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str):
        raise ValueError('write a duration with its unit, for example "45s", "3min", "24h" or "2d"')
    text = value.strip()
    for unit in ("ms", "min", "s", "h", "d"):
        number = text.removesuffix(unit)
        # Short, so that no typing error overflows a timedelta.
        if number != text and len(number) <= 9 and number.isascii() and number.replace(".", "", 1).isdigit():
            return timedelta(seconds=float(number) * _UNITS[unit])
    raise ValueError(f'"{value}" is no duration: write for example "45s", "3min", "24h" or "2d"')


Duration = Annotated[timedelta, BeforeValidator(_duration), PlainSerializer(str)]
Port = Annotated[int, Field(ge=0, le=65535)]


#: What helps where a credential is asked for by hand.
AS_THE_SERVICE = "run it as the service does: CREDENTIALS_DIRECTORY=/etc/intake/secrets intake check"


class Secret(Strict):
    """Where a secret lies: `{ file = "…" }` or `{ credential = "…" }` (systemd LoadCredential=)."""

    file: Path | None = None
    credential: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _is_a_table(cls, value: Any) -> Any:
        if isinstance(value, str):
            # The value itself must not be echoed: it may be the secret.
            raise ValueError('secrets do not belong in this file: write { file = "/path" } or { credential = "name" }')
        return value

    @model_validator(mode="after")
    def _one_place(self) -> Secret:
        if (self.file is None) == (self.credential is None):
            raise ValueError('give exactly one of { file = "/path" } and { credential = "name" }')
        return self

    @property
    def is_awaited(self) -> bool:
        """True for a credential where none were handed over: this process is not the service's."""
        return self.credential is not None and not os.environ.get("CREDENTIALS_DIRECTORY")

    def path(self) -> Path:
        """The file to read. Raises FileNotFoundError where systemd handed over no credentials."""
        if self.file is not None:
            return self.file
        folder = os.environ.get("CREDENTIALS_DIRECTORY")
        if not folder:
            raise FileNotFoundError(
                f"credential {self.credential!r}: no credentials were handed over "
                "(LoadCredential= in the systemd unit, or write { file = … })"
            )
        return Path(folder) / str(self.credential)

    def read(self) -> str:
        """The secret, without the line end. Raises OSError when unreadable, ValueError when empty or not text."""
        text = self.path().read_text(encoding="utf-8").strip("\r\n")
        if not text:
            raise ValueError(f"{self.path()} is empty")
        return text

    def is_readable_by_others(self) -> bool:
        """True if anybody on the machine may read it."""
        return bool(self.path().stat().st_mode & stat.S_IROTH)


def are_networks(value: tuple[str, ...]) -> tuple[str, ...]:
    """The networks as they were written. Raises ValueError for one that is none."""
    for network in value:
        try:
            ip_network(network, strict=False)
        except ValueError:
            raise ValueError(f'"{network}" is no network: write "192.0.2.7" or "10.0.0.0/8"') from None
    return value


Security = Literal["tls", "starttls", "none"]


def _since(value: object) -> date | Literal["now", "all"]:
    """`"now"`, `"all"`, or a date, in quotes or as TOML has it."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    if value == "now" or value == "all":
        return value
    with suppress(ValueError):
        return date.fromisoformat(str(value))
    raise ValueError('this value is not known: write "now", "all", or a date such as "2026-11-01"')


Since = Annotated[date | Literal["now", "all"], PlainValidator(_since), PlainSerializer(str)]


class ImapSettings(Strict):
    """The mailbox that customers and agents write to."""

    host: str
    port: Port = 993
    security: Security = "tls"
    ca_file: Path | None = None  # own certificate authority, PEM
    username: str
    password: Secret | None = None  # None where [channels.NAME.oauth] signs in
    folders: tuple[str, ...] = ("INBOX",)
    #: What of the mail that lies there at the first start is taken in: none, all, or what came from that day on (UTC).
    since: Since = "now"
    #: The folder in which the provider puts what it takes for junk, "auto" to look for it. It is read, never touched.
    junk_folder: str | None = None
    #: The folder in which this account keeps what was sent from it, "auto" to look for it, "" to leave it alone. It is
    #: read, never touched: what a person wrote there in the desk's name counts as an answer.
    sent_folder: str = ""
    poll_every: Duration = timedelta(seconds=60)  # only where the server has no IDLE
    idle_renew_every: Duration = timedelta(minutes=4)
    command_timeout: Duration = timedelta(seconds=30)
    max_size: int = Field(default=30 * MIB, ge=64 * 1024)  # octets; of larger mail only the head is fetched
    #: What is done to mail once it has been stored: marked as read, flagged $Intake, moved to `move_to`, or nothing.
    after_taking: Literal["seen", "flag", "move", "leave"] = "seen"
    move_to: str = "Taken"  # is made where it is missing

    @model_validator(mode="before")
    @classmethod
    def _renamed(cls, value: Any) -> Any:
        if isinstance(value, dict) and "mark_seen" in value:
            raise ValueError('mark_seen is no longer known: write after_taking = "seen" or "leave" in its place')
        return value

    @model_validator(mode="after")
    def _each_folder_once(self) -> ImapSettings:
        if not self.folders:
            raise ValueError('no folder is read: write folders = ["INBOX"]')
        names = [one_name(folder) for folder in self.folders]
        if len(names) != len(set(names)):
            raise ValueError("a folder stands twice in folders: write each once")
        if self.junk_folder is not None and one_name(self.junk_folder) in names:
            raise ValueError("junk_folder is read without touching it: take it out of folders")
        is_named = self.sent_folder not in ("", "auto")  # each of the two may be looked for
        if is_named and one_name(self.sent_folder) in {*names, one_name(self.junk_folder or "")}:
            raise ValueError("sent_folder is read by itself, without touching it: name it nowhere else")
        aside = {one_name(self.junk_folder or ""), one_name(self.sent_folder)}
        if self.after_taking == "move" and one_name(self.move_to) in {*names, *aside}:
            raise ValueError("what has been taken would come in again: give move_to a folder that is not read")
        return self


def one_name(folder: str) -> str:
    """INBOX is one name in whatever case (RFC 3501 §5.1)."""
    return "INBOX" if folder.upper() == "INBOX" else folder


class SmtpSettings(Strict):
    """The way out."""

    host: str
    port: Port = 587
    security: Security = "starttls"
    ca_file: Path | None = None
    username: str | None = None
    password: Secret | None = None
    connect_timeout: Duration = timedelta(seconds=30)
    command_timeout: Duration = timedelta(seconds=60)
    data_timeout: Duration = timedelta(minutes=10)  # for the answer after the final dot
    #: How fast this account may send; what is not written is what its provider allows. 0 is no limit.
    per_minute: int | None = Field(default=None, ge=0)  # messages
    per_day: int | None = Field(default=None, ge=0)  # recipients, in any 24 hours
    connections: int | None = Field(default=None, ge=1, le=20)  # at one time

    @property
    def pace(self) -> Pace:
        """What is written here, and for the rest what the provider is known to allow."""
        known = preset(self.host)
        return Pace(
            per_minute=known.per_minute if self.per_minute is None else self.per_minute,
            per_day=known.per_day if self.per_day is None else self.per_day,
            connections=known.connections if self.connections is None else self.connections,
        )

    @property
    def account(self) -> str:
        """What tells one account of a relay from another."""
        return f"{self.host.lower()}:{self.port}:{(self.username or '').lower()}"


class OAuthSettings(Strict):
    """Signing in without a password (XOAUTH2): who gives the tokens out, and who consents."""

    provider: Literal["google", "microsoft", "custom"]
    client_id: str = Field(min_length=1)  # google, "app-only": the service account's address
    client_secret: Secret | None = None  # google, "app-only": the service account's key file, JSON
    secret_expires_on: date | None = None  # as the provider tells it: said 30, 7 and 1 days ahead
    tenant: str = ""  # microsoft: the directory's id or domain
    #: Who consents: "device" a person with a code, "browser" a person who brings an address back, "app-only" an
    #: administrator, once. "": browser at Google, whose codes open no mail, else device.
    flow: Literal["", "device", "browser", "app-only"] = ""
    signs_in: tuple[Literal["imap", "smtp"], ...] = Field(default=("imap", "smtp"), min_length=1)
    token_url: str = ""  # "": the provider's own, as the next three
    device_url: str = ""
    login_url: str = ""
    scope: str = ""
    ca_file: Path | None = None  # own certificate authority of a server of one's own, PEM
    token_file: Path | None = None  # None: STATE_DIR/oauth/CHANNEL.json

    @property
    def way(self) -> str:
        """The flow, written or not."""
        return self.flow or ("browser" if self.provider == "google" else "device")

    @field_validator("token_url", "device_url", "login_url")
    @classmethod
    def _is_private(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and (not parts.hostname or not (parts.scheme == "https" or is_loopback_url(value))):
            raise ValueError("tokens travel encrypted: write an address that begins with https://")
        return value

    @model_validator(mode="after")
    def _can_be_asked(self) -> OAuthSettings:
        if self.provider == "google" and self.flow == "device" and not self.device_url:
            raise ValueError('Google\'s device codes open no mail: write flow = "browser" or "app-only"')
        if self.provider == "microsoft" and self.way == "app-only" and not self.tenant:
            raise ValueError('app-only needs the directory: write tenant = "firm.onmicrosoft.com", or its id')
        if self.way == "app-only" and self.client_secret is None:
            raise ValueError('app-only needs a secret: write client_secret = { file = "/path" }')
        needed = {"device": ("device_url",), "browser": ("login_url",)}.get(self.way, ())
        for key in ("token_url", *needed) if self.provider == "custom" else ():
            if not getattr(self, key):
                raise ValueError(f'a server of your own has no known address: write {key} = "https://…"')
        return self


def is_loopback_url(url: str) -> bool:
    """True for an address of this machine, to which nobody else listens."""
    return urlsplit(url).scheme == "http" and urlsplit(url).hostname in ("127.0.0.1", "::1", "localhost")


class LmtpSettings(Strict):
    """A door at which the firm's own mail server hands mail over, in place of the mailbox or beside it."""

    path: Path | None = None  # a socket in the file system; else:
    host: str = "127.0.0.1"
    port: Port = 0
    protocol: Literal["lmtp", "smtp"] = "lmtp"
    sources: tuple[str, ...] = ("127.0.0.0/8", "::1")  # networks that may hand mail over
    max_size: int = Field(default=30 * MIB, ge=64 * 1024)  # octets; larger mail is refused with 552
    max_connections: int = Field(default=20, ge=1, le=1000)
    timeout: Duration = timedelta(minutes=5)  # without a word from the other side

    @field_validator("sources")
    @classmethod
    def _are_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return are_networks(value)

    @model_validator(mode="after")
    def _has_a_place(self) -> LmtpSettings:
        if find_spec("aiosmtpd") is None:
            raise ValueError("this needs the extra lmtp: pip install 'intake-desk[lmtp]'")
        if (self.path is None) == (self.port == 0):
            raise ValueError('give either path = "/run/intake/lmtp" or a port')
        if self.path is not None and self.protocol == "smtp":
            raise ValueError("mail servers speak LMTP, not SMTP, over a socket in the file system")
        return self

    @property
    def place(self) -> str:
        """Where it listens, as people write it."""
        return str(self.path) if self.path is not None else f"{self.host}:{self.port}"


class MailSettings(Strict):
    """A mail channel: a mailbox in, or a door, or both; one relay out."""

    type: Literal["mail"] = "mail"
    address: str  # what customers write to, and what they see
    display_name: str = ""  # the firm, as customers see it
    imap: ImapSettings | None = None
    lmtp: LmtpSettings | None = None
    smtp: SmtpSettings
    oauth: OAuthSettings | None = None
    #: How the token travels: in Reply-To as address+TOKEN@…, as TOKEN@subdomain, or only in the Message-ID.
    token_in: Literal["plus", "subdomain", "references"] = "plus"  # noqa: S105
    token_domain: str | None = None  # for "subdomain": every address under it reaches the mailbox
    #: authserv-id of our own border server; an Authentication-Results of anybody else is not read.
    authserv_id: str | None = None
    #: host name that the border server writes into "Received: … by"; None where there is no second hop.
    border_host: str | None = None
    null_return_path: bool = True  # automatic mail leaves with MAIL FROM:<> where the relay takes it
    acknowledge: bool = True  # the automatic "received, number, answered by"
    web_forms: tuple[str, ...] = ()  # what the firm's own forms write as: the customer stands in their Reply-To

    @field_validator("web_forms")
    @classmethod
    def _are_addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            if one.count("@") != 1 or one.startswith("@") or one.endswith("@") or " " in one:
                raise ValueError(f'"{one}" is no mail address: write "form@www.firm.example"')
        return value

    @field_validator("address")
    @classmethod
    def _is_address(cls, value: str) -> str:
        local, at, domain = value.rpartition("@")
        if not at or not local or ("." not in domain and domain != "localhost") or " " in value:
            raise ValueError(f'"{value}" is no mail address: write it whole, "support@firm.example"')
        return value

    @model_validator(mode="after")
    def _fits(self) -> MailSettings:
        if self.token_in == "subdomain" and not self.token_domain:  # noqa: S105
            raise ValueError('token_in = "subdomain" needs token_domain, for example "reply.firm.example"')
        if self.imap is None and self.lmtp is None:
            raise ValueError("give a table imap (a mailbox to read), or lmtp (a door at which mail is handed over)")
        self._signs_in()
        return self

    @property
    def login_name(self) -> str:
        """Whom a token of [oauth] signs in: the mailbox's user; where there is no mailbox, the desk's address."""
        return self.imap.username if self.imap is not None else self.address

    @property
    def signed_in_smtp(self) -> SmtpSettings:
        """The way out, with the mailbox's own user name where its token signs in and none is written."""
        if self.oauth is None or "smtp" not in self.oauth.signs_in or self.smtp.username:
            return self.smtp
        return self.smtp.model_copy(update={"username": self.login_name})

    def _signs_in(self) -> None:
        """Each side has a password or a token, never both."""
        by_token = self.oauth.signs_in if self.oauth else ()
        for side, table in (("imap", self.imap), ("smtp", self.smtp)):
            if table is None:
                continue
            if side in by_token and table.password is not None:
                raise ValueError(f"{side}: give a password or oauth, not both (oauth.signs_in says for which it is)")
            if side in by_token and table.security == "none" and table.host not in ("localhost", "127.0.0.1", "::1"):
                raise ValueError(f'{side}: a token may not travel in plain text: write security = "tls"')
        if self.imap is not None and "imap" not in by_token and self.imap.password is None:
            raise ValueError('imap: give password = { file = "…" }, or a table [channels.NAME.oauth]')
        if "smtp" not in by_token and (self.smtp.username is None) != (self.smtp.password is None):
            raise ValueError("smtp: give both username and password, or neither")


class WebchatSettings(Strict):
    """A chat on the firm's web site."""

    type: Literal["webchat"] = "webchat"
    path: str = "/chat"  # page at PATH, script at PATH/widget.js, websocket at PATH/ws
    origins: tuple[str, ...]  # sites that may open the chat: "https://www.firm.example"
    firm: str = ""  # name on top of the panel
    max_frame: int = Field(default=16 * 1024, ge=1024)  # octets
    messages_per_second: float = Field(default=5.0, gt=0)  # a visitor
    max_sockets: int = Field(default=10_000, ge=1)
    heartbeat: Duration = timedelta(seconds=25)
    session_key: Secret | None = None  # signs visitor tokens; None: one is made in the state directory

    @field_validator("path")
    @classmethod
    def _rooted(cls, value: str) -> str:
        if not value.startswith("/") or value.endswith("/"):
            raise ValueError('write a path like "/chat"')
        return value


class TelephonySettings(Strict):
    """Call events from a telephone exchange, in the form that exchanges already send to Zammad."""

    type: Literal["telephony"] = "telephony"
    path: str = "/phone"  # the exchange posts to PATH/SECRET
    secret: Secret  # at least 128 bit
    region: str = "TW"  # ISO 3166-1: how numbers without a country code are read, and the ring cycle
    rings: int = Field(default=3, ge=1, le=20)
    ring_cycle: Duration | None = None  # overrides the region's (POLICY.md, Clocks)
    machine_numbers: tuple[str, ...] = ()  # users or numbers that answer without being human: queue, voicemail
    sources: tuple[str, ...] = ()  # networks the exchange may call from; empty: any
    max_body: int = Field(default=64 * 1024, ge=1024)  # octets
    body_timeout: Duration = timedelta(seconds=15)
    dial_wait: Duration = timedelta(seconds=2)  # how long a newCall may wait for the decision whom to dial
    #: whom the exchange's users are: extension or login -> agent name in config.toml
    users: dict[str, str] = Field(default_factory=dict)

    @field_validator("sources")
    @classmethod
    def _are_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return are_networks(value)

    @field_validator("path")
    @classmethod
    def _rooted(cls, value: str) -> str:
        if not value.startswith("/") or value.endswith("/"):
            raise ValueError('write a path like "/phone"')
        return value


class TelegramSettings(Strict):
    """A bot to which customers write."""

    type: Literal["telegram"] = "telegram"
    token: Secret  # what @BotFather gives out
    firm: str = ""  # the firm's name in the bot's greeting
    #: Whose servers are asked; another address only for a Bot API server of one's own.
    api_url: str = "https://api.telegram.org"
    proxy: str | None = None  # "http://…" or "socks5://…": the way out, where Telegram is not reached directly
    content: Literal["full", "notice"] = "full"  # to agents: customers' words, or only that something waits
    poll_wait: Duration = timedelta(seconds=30)  # how long a question for updates may stay open
    #: Telegram posts to this path of the listener instead of being asked; webhook_url is how it gets there.
    webhook_path: str | None = None
    webhook_url: str = ""  # "https://desk.firm.example/telegram"
    webhook_secret: Secret | None = None  # at least 128 bit; Telegram sends it with each post

    @field_validator("api_url")
    @classmethod
    def _is_a_server(cls, value: str) -> str:
        parts = urlsplit(value)
        is_near = parts.hostname in ("localhost", "127.0.0.1", "::1")
        if not parts.hostname or parts.scheme not in ("https", "http") or (parts.scheme == "http" and not is_near):
            raise ValueError('write an address with https: "https://api.telegram.org" (http only on this machine)')
        return value

    @field_validator("poll_wait")
    @classmethod
    def _can_wait(cls, value: timedelta) -> timedelta:
        if not timedelta(seconds=1) <= value <= timedelta(seconds=50):
            raise ValueError("Telegram keeps a question open for at most 50 s; write 1s to 50s")
        return value

    @model_validator(mode="after")
    def _is_told_whole(self) -> TelegramSettings:
        given = (self.webhook_path is not None, bool(self.webhook_url), self.webhook_secret is not None)
        if any(given) and not all(given):
            raise ValueError("a webhook needs all of webhook_path, webhook_url and webhook_secret; without, it polls")
        if self.webhook_path is not None and (not self.webhook_path.startswith("/") or len(self.webhook_path) < 2):
            raise ValueError('webhook_path: write a path like "/telegram"')
        if self.webhook_url and not self.webhook_url.startswith("https://"):
            raise ValueError("webhook_url: Telegram posts over https only")
        return self


ChannelSettings = Annotated[
    MailSettings | WebchatSettings | TelephonySettings | TelegramSettings, Field(discriminator="type")
]
