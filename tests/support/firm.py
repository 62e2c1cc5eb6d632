"""A small firm for the system tests: its configuration over real servers, and everybody's mailbox.

    with servers(people) as (dovecot, postfix):          # one pair serves many firms
        firm = Firm(tmp_path, dovecot, postfix)           # writes config.toml and the secrets
        with Daemon(firm.config) as daemon:
            firm.send("mei@customer.example", "support@firm.example", raw)
            mail = firm.box("chen@firm.example").wait_for(lambda m: "#1001" in m["Subject"])

A mailbox is read from the server's own Maildir: its ledger of what was really delivered, and it costs nothing to look.
"""

from __future__ import annotations

import email
import smtplib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from email import policy
from email.message import EmailMessage
from pathlib import Path

from support.daemon import PATIENCE
from support.dovecot import Dovecot
from support.needs import needs
from support.ports import free_ports
from support.postfix import SASL, Postfix

DOMAIN = "firm.example"
PASSWORD = "secret"
SECRET = "u2Fz-9tYp0Qw4_Ls7Xk1Vb3Nn6Rm8Hc5"  # of the telephone exchange

CONFIG = """\
[desk]
firm = "安信財稅"
region = "TW"
calendar = "always"
hotline = "+886 2 2345 0000"

[store]
url = "sqlite:///intake.db"
state_dir = "state"
{store}

[http]
port = {http_port}
{http}

[log]
format = "json"

[tokens]
key = {{ file = "token.key" }}

[limits]
parser_workers = 1
free_space = 0
drain_timeout = "{drain}"
retries = ["500ms"]
retry_every = "1s"
unknown_retry_after = "1s"
peer_cap = 1000
automatic_per_hour = 0
ack_per_domain_and_day = 0
{limits}

[channels.mail]
type = "mail"
address = "{desk}"
display_name = "安信財稅客服"
authserv_id = "mail.firm.example"
border_host = "mail.firm.example"
{mail}

{inward}
[channels.mail.smtp]
host = "{smtp_host}"
port = {smtp_port}
security = "none"

[channels.website]
type = "webchat"
origins = ["http://127.0.0.1:{http_port}"]
firm = "安信財稅"

[channels.hotline]
type = "telephony"
secret = {{ file = "hotline.secret" }}
region = "TW"
reply_channel = "mail"
machine_numbers = ["queue"]
users = {{ 201 = "chen", 202 = "lin" }}

[agents.chen]
display_name = "陳怡君"
addresses = ["{chen}"]
capacity = 1000
{chen_more}

[agents.lin]
display_name = "林志豪"
addresses = ["{lin}"]

[agents.wu]
display_name = "吳淑芬"
addresses = ["{wu}"]
supervisor = true

[teams.tax]
display_name = "稅務組"
members = ["chen"]
supervisors = ["wu"]

[calendars.always]
timezone = "Asia/Taipei"
hours = {{ mon-sun = ["00:00-24:00"] }}

[targets.first_response]
email = "{email_target}"
chat = "60s"
phone = "9s"
{more}
"""

MAILBOX = """
[channels.mail.imap]
host = "{host}"
port = {imap_port}
security = "{security}"
username = "{desk}"
password = {{ file = "mail.password" }}
since = "all"
{imap}
"""

DOOR = """
[channels.mail.lmtp]
{lmtp}
"""


class Box:
    """One user's mailbox, as it lies on the server."""

    def __init__(self, folder: Path, user: str) -> None:
        self.folder = folder
        self.user = user
        self._known: dict[str, EmailMessage] = {}

    def mails(self) -> list[EmailMessage]:
        """What has been delivered, in order."""
        found: list[str] = []
        for place in (self.folder / "new", self.folder / "cur"):
            for path in place.glob("*") if place.is_dir() else ():
                name = path.name.split(":")[0]  # without its flags
                if name not in self._known:
                    try:
                        raw = path.read_bytes()
                    except FileNotFoundError:  # a flag was set, and the file has a new name
                        return self.mails()
                    self._known[name] = email.message_from_bytes(raw, policy=policy.default)  # type: ignore[assignment]
                found.append(name)
        return [self._known[name] for name in sorted(set(found), key=_delivered_at)]

    def all(self, wanted: Callable[[EmailMessage], bool]) -> list[EmailMessage]:
        return [mail for mail in self.mails() if wanted(mail)]

    def wait_for(
        self,
        wanted: Callable[[EmailMessage], bool] = lambda mail: True,
        seconds: float = PATIENCE,
        meanwhile: Callable[[], object] = lambda: None,
    ) -> EmailMessage:
        """The first mail that is wanted. `meanwhile` is done between two looks. Raises AssertionError."""
        deadline = time.monotonic() + seconds
        while True:
            if found := self.all(wanted):
                return found[0]
            if time.monotonic() > deadline:
                there = [mail["Subject"] for mail in self.mails()]
                raise AssertionError(f"no such mail to {self.user} within {seconds:g} s; there is {there}")
            meanwhile()
            time.sleep(0.05)


def _delivered_at(name: str) -> tuple[int, int, str]:
    """Maildir names begin with seconds, and M microseconds: 1790000000.M123456P99.host."""
    seconds, _, rest = name.partition(".")
    micro = rest[1:].split("P")[0] if rest.startswith("M") else ""
    return (int(seconds), int(micro) if micro.isdigit() else 0, name)


def plain(mail: EmailMessage) -> str:
    """The plain text of a mail."""
    body = mail.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


def is_automatic(mail: EmailMessage) -> bool:
    return str(mail["Auto-Submitted"] or "no") != "no"


def is_answer(mail: EmailMessage) -> bool:
    """Not written by machine: somebody's words."""
    return not is_automatic(mail)


class Firm:
    """One desk with its mailbox, agents and customers on servers that it may share with others.

    `suffix` keeps desks apart that share servers: support-SUFFIX@…, chen-SUFFIX@….
    """

    def __init__(
        self,
        folder: Path,
        dovecot: Dovecot,
        postfix: Postfix,
        suffix: str = "",
        *,
        smtp_port: int | None = None,
        imap_port: int | None = None,
        has_tls: bool = False,
        email_target: str = "8h",
        drain: str = "20s",
        limits: str = "",
        mail: str = "",
        imap: str | None = "",  # further lines of its table; None: no mailbox is read
        lmtp: str = "",  # the lines of its table; "": nobody hands mail over
        smtp_host: str = "127.0.0.1",
        store: str = "",
        http: str = "",
        chen: str = "",
        more: str = "",
    ) -> None:
        self.folder = folder
        self.dovecot = dovecot
        self.postfix = postfix
        self.desk, self.chen, self.lin, self.wu = people(suffix)[:4]
        (self.http_port,) = free_ports(1)
        self.config = folder / "config.toml"
        self._boxes: dict[str, Box] = {}
        certificates = dovecot.certificates
        if has_tls:
            assert certificates is not None
            assert imap is not None
            imap += f'\nca_file = "{certificates.authority}"'
        folder.mkdir(parents=True, exist_ok=True)
        for name, words in (("token.key", "k" * 40), ("mail.password", PASSWORD), ("hotline.secret", SECRET)):
            (folder / name).write_text(words + "\n")
            (folder / name).chmod(0o600)
        self.values: dict[str, object] = {
            "http_port": self.http_port, "desk": self.desk, "chen": self.chen, "lin": self.lin, "wu": self.wu,
            "smtp_port": smtp_port or postfix.port, "email_target": email_target,
            "host": "localhost" if has_tls else "127.0.0.1", "security": "tls" if has_tls else "none",
            "imap_port": imap_port or (dovecot.imaps_port if has_tls else dovecot.imap_port),
            "drain": drain, "limits": limits, "mail": mail, "imap": imap, "lmtp": lmtp, "smtp_host": smtp_host,
            "store": store, "http": http.format(url=self.url), "chen_more": chen, "more": more,
        }  # fmt: skip
        self.write()

    def write(self, **changes: object) -> None:
        """Write the configuration, again with these changes."""
        self.values |= changes
        ways = (MAILBOX if self.values["imap"] is not None else "") + (DOOR if self.values["lmtp"] else "")
        self.config.write_text(CONFIG.format(inward=ways.format(**self.values), **self.values))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"

    def box(self, user: str) -> Box:
        if user not in self._boxes:
            self._boxes[user] = Box(self.dovecot.folder / "mail" / user.lower(), user)
        return self._boxes[user]

    def send(self, sender: str, recipient: str, raw: bytes) -> None:
        """Through the border server; `sender` is the envelope's, on which its verdict rests."""
        with smtplib.SMTP("127.0.0.1", self.postfix.port, timeout=30) as smtp:
            smtp.sendmail(sender, [recipient], raw)

    def send_all(self, mails: Iterable[tuple[str, str, bytes]]) -> None:
        """Many, over one connection."""
        with smtplib.SMTP("127.0.0.1", self.postfix.port, timeout=30) as smtp:
            for sender, recipient, raw in mails:
                smtp.sendmail(sender, [recipient], raw)


def people(suffix: str = "") -> list[str]:
    """The addresses of one firm: the desk first, then its agents chen, lin and wu."""
    return [f"{name}{'-' + suffix if suffix else ''}@{DOMAIN}" for name in ("support", "chen", "lin", "wu")]


@contextmanager
def servers(
    suffixes: Iterable[str] = ("",),
    customers: Iterable[str] = (),
    catch_all: Mapping[str, str] | None = None,
    doors: Sequence[str] = (),
) -> Iterator[tuple[Dovecot, Postfix]]:
    """A Dovecot and a Postfix with mailboxes for all of these; agents and customers pass the border's check.

    What comes to the desks of the suffixes in `doors` is handed over at `postfix.door(address)`.
    """
    needs("root", "dovecot", "openssl", "postfix", "setpriv")
    ours = [one for suffix in suffixes for one in people(suffix)]
    everybody = [*ours, *customers]
    with (
        Dovecot(dict.fromkeys(everybody, PASSWORD), more=SASL if doors else "") as dovecot,
        Postfix(
            dovecot, verified=everybody, catch_all=dict(catch_all or {}), doors=[people(one)[0] for one in doors]
        ) as postfix,
    ):
        yield dovecot, postfix
