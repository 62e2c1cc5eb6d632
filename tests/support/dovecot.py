"""A real Dovecot in a folder of its own: IMAP, IMAPS and LMTP on free loopback ports.

    with Dovecot({"desk@firm.example": "secret"}) as dovecot:
        dovecot.deliver("desk@firm.example", b"Subject: …")        # through LMTP, as an MTA does
        connect to 127.0.0.1:dovecot.imap_port (plain, STARTTLS) or dovecot.imaps_port (TLS, localhost)

`restart()` stops and starts it on the same ports, `kill()` ends it as a power cut does, `renumber(user)` gives
the mailbox a new UIDVALIDITY, `append` stores octets through IMAP with a date. As root it runs as nobody; its log
is `dovecot.log`. Any local part with `+detail` is delivered to the plain user. `needs("dovecot", "openssl")` first.
"""

from __future__ import annotations

import imaplib
import os
import shutil
import signal
import smtplib
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from support.certificates import Certificates, make_certificates
from support.needs import program
from support.ports import free_ports, wait_for_port

CONFIG = r"""
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/dovecot.log
protocols = imap lmtp
listen = 127.0.0.1
default_internal_user = {user}
default_login_user = {user}
default_internal_group = {group}
first_valid_uid = 0
first_valid_gid = 0
mail_location = maildir:{folder}/mail/%Lu
mail_uid = {user}
mail_gid = {group}
mail_fsync = never
ssl = yes
ssl_cert = <{certificate}
ssl_key = <{key}
disable_plaintext_auth = no
auth_mechanisms = plain login
auth_username_chars =
auth_failure_delay = 0
recipient_delimiter = +
passdb {{
  driver = passwd-file
  args = username_format=%Lu {folder}/users
}}
userdb {{
  driver = passwd-file
  args = username_format=%Lu {folder}/users
}}
namespace inbox {{
  inbox = yes
  separator = /
  mailbox Spamverdacht {{
    auto = create
    special_use = \Junk
  }}
}}
service imap-login {{
  chroot =
  process_min_avail = 1
  inet_listener imap {{
    port = {imap_port}
  }}
  inet_listener imaps {{
    port = {imaps_port}
    ssl = yes
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {lmtp_port}
  }}
}}
service anvil {{
  chroot =
}}
service auth-worker {{
  user = {user}
}}
service stats {{
  chroot =
}}
lmtp_save_to_detail_mailbox = no
protocol imap {{
  imap_idle_notify_interval = 30s
  mail_max_userip_connections = 100
}}
{more}
"""


BEGAN = 1_546_300_800  # 1 Jan 2019: when the old mails of `fill` begin to come
STEP = 600  # seconds between two of them


class Dovecot:
    """Usable with `with` and, from async tests, just the same: starting takes a tenth of a second."""

    def __init__(self, users: dict[str, str], folder: Path | None = None, more: str = "") -> None:
        self.users = dict(users)
        # Not under pytest's own folder, which only root may enter.
        self.folder = folder or Path(tempfile.mkdtemp(prefix="dovecot-"))
        self.imap_port, self.imaps_port, self.lmtp_port = free_ports(3)
        self.more = more  # of the configuration
        self._process: subprocess.Popen[bytes] | None = None
        self.certificates: Certificates | None = None

    def __enter__(self) -> Dovecot:
        self._prepare()
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def log(self) -> str:
        path = self.folder / "dovecot.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def _prepare(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o755)
        self.certificates = make_certificates(self.folder / "tls")
        is_root = os.geteuid() == 0
        user, group = ("nobody", "nogroup") if is_root else (_own_user(), _own_group())
        for name in ("run", "state", "mail", "home"):
            (self.folder / name).mkdir(exist_ok=True)
        (self.folder / "dovecot.conf").write_text(
            CONFIG.format(
                folder=self.folder, user=user, group=group, certificate=self.certificates.certificate,
                key=self.certificates.key, imap_port=self.imap_port, imaps_port=self.imaps_port,
                lmtp_port=self.lmtp_port, more=self.more,
            )
        )  # fmt: skip
        self._write_users()
        if is_root:
            for path in [self.folder, *self.folder.rglob("*")]:
                shutil.chown(path, user, group)

    def _write_users(self) -> None:
        home = self.folder / "home"
        lines = [f"{name.lower()}:{{PLAIN}}{word}::::{home}/{name.lower()}::" for name, word in self.users.items()]
        (self.folder / "users").write_text("\n".join(lines) + "\n")
        (self.folder / "users").chmod(0o644)

    def add_user(self, name: str, password: str) -> None:
        """Known at once."""
        self.users[name] = password
        self._write_users()

    def start(self) -> None:
        command = [program("dovecot"), "-F", "-c", str(self.folder / "dovecot.conf")]
        if os.geteuid() == 0:
            # Its login processes refuse to be root.
            command = [program("setpriv"), "--reuid=nobody", "--regid=nogroup", "--clear-groups", *command]
        nowhere = subprocess.DEVNULL  # a pipe would stay open in its children
        started = self._process = subprocess.Popen(
            command, stdin=nowhere, stdout=nowhere, stderr=nowhere, start_new_session=True, cwd="/"
        )
        try:
            for port in (self.imap_port, self.imaps_port, self.lmtp_port):
                wait_for_port(port, still_lives=lambda: started.poll() is None)
        except Exception as error:
            self.kill()
            raise RuntimeError(f"Dovecot did not start: {self.log[-2000:]}") from error

    def stop(self) -> None:
        """As its service manager does: connections are told BYE."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """At once, with all its children; nobody is told anything."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        self.stop()
        self.start()

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        # The whole session that we started: a process that serves a client in IDLE outlives its master.
        for signaled in (how, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signaled)
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=10)
            if self._await_silence(process.pid):
                return

    def _await_silence(self, group: int, seconds: float = 1.0) -> bool:
        """True once none of our processes is left; children may hold a port longer than the master lives."""
        deadline = time.monotonic() + seconds
        while _lives(group):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def deliver(self, user: str, raw: bytes, sender: str = "someone@customer.example") -> None:
        """One mail through LMTP; it gets Return-Path, Delivered-To and Received lines, as any delivered mail."""
        with smtplib.LMTP("127.0.0.1", self.lmtp_port, timeout=30) as lmtp:
            lmtp.sendmail(sender, [user], raw)

    def session(self, user: str) -> imaplib.IMAP4:
        """A logged-in IMAP session of the standard library: another pair of eyes. Use with `with`."""
        session = imaplib.IMAP4("127.0.0.1", self.imap_port, timeout=30)
        session.login(f'"{user}"', self.users[user])
        return session

    def append(self, user: str, mails: list[bytes], folder: str = "INBOX", date: str | None = None) -> None:
        """Store octets as they are, through IMAP. Dovecot turns bare LF into CRLF and NUL into 0x80."""
        when = date or imaplib.Time2Internaldate(time.time())
        with self.session(user) as session:
            for raw in mails:
                outcome, words = session.append(folder, "", when, raw)
                assert outcome == "OK", words

    def fetch_all(self, user: str, folder: str = "INBOX") -> dict[int, bytes]:
        """UID -> octets, as the server's FETCH gives them, without touching a flag."""
        with self.session(user) as session:
            assert session.select(folder, readonly=True)[0] == "OK"
            uids = session.uid("search", "ALL")[1][0].split()
            found: dict[int, bytes] = {}
            for uid in uids:
                answer = session.uid("fetch", uid.decode(), "(BODY.PEEK[])")[1]
                found[int(uid)] = next(part[1] for part in answer if isinstance(part, tuple))
            return found

    def seen(self, user: str, folder: str = "INBOX") -> list[int]:
        """The UIDs that are flagged as read."""
        with self.session(user) as session:
            session.select(folder, readonly=True)
            return [int(uid) for uid in session.uid("search", "SEEN")[1][0].split()]

    def forget_capabilities(self, *names: str) -> None:
        """From now on the server says that it has none of these."""
        if not names:
            return
        with self.session(next(iter(self.users))) as session:
            known = session.capability()[1][0].decode().split()
        kept = " ".join(name for name in known if name not in names)
        self.more = f"protocol imap {{\n  imap_capability = {kept}\n}}\n"
        self.kill()  # stopping may take seconds
        self._prepare()
        self.start()

    def fill(self, user: str, count: int, folder: str = "") -> None:
        """So many small old mails at once, as files; what Dovecot then has to index is what counts."""
        box = self.folder / "mail" / user.lower() / folder
        for part in ("cur", "new", "tmp"):
            (box / part).mkdir(parents=True, exist_ok=True)
        for number in range(1, count + 1):
            raw = b"From: c%d@customer.example\r\nSubject: old %d\r\nMessage-ID: <%d@customer.example>\r\n\r\nold\r\n"
            octets = raw % (number % 5000, number, number)
            path = box / "cur" / f"{BEGAN + number * STEP}.M{number}P1.old,S={len(octets)},W={len(octets)}:2,S"
            path.write_bytes(octets)
            os.utime(path, (BEGAN + number * STEP,) * 2)
        if os.geteuid() == 0:
            subprocess.run(["chown", "-R", "nobody:nogroup", str(box)], check=True)

    def renumber(self, user: str) -> None:
        """A new UIDVALIDITY with new UIDs, as after a move to another server. Dovecot must be stopped."""
        assert self._process is None, "stop() first"
        box = self.folder / "mail" / user.lower()
        known = (box / "dovecot-uidlist").read_text()
        validity = int(known.split(" V", 1)[1].split()[0])
        for path in box.glob("dovecot*"):
            path.unlink()
        (box / "dovecot-uidlist").write_text(f"3 V{validity + 1000} N1\n")
        if os.geteuid() == 0:
            shutil.chown(box / "dovecot-uidlist", "nobody", "nogroup")


def _lives(group: int) -> bool:
    """True while a process of that group runs."""
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, its_group = status.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(its_group) == group and state != "Z":
            return True
    return False


def _own_user() -> str:
    import pwd

    return pwd.getpwuid(os.getuid()).pw_name


def _own_group() -> str:
    import grp

    return grp.getgrgid(os.getgid()).gr_name
