"""A real Postfix in a folder of its own, in front of a Dovecot: the border server and the relay of the tests.

    with Dovecot(users) as dovecot, Postfix(dovecot, verified={"chen@firm.example"}) as postfix:
        send to 127.0.0.1:postfix.port (no login; STARTTLS for localhost with dovecot.certificates)

* Every user of the Dovecot is a mailbox here, `name+anything@…` too; any name at a `catch_all` domain reaches its
  mailbox. An unknown name is refused with 550 at RCPT; another domain is accepted, and bounces with a real report.
* It adds `Authentication-Results: <authserv_id>; dmarc=…` above its own Received line, as a border server does: pass
  for an *envelope* sender in `verified`, none for anybody else. So an attacker in a test uses another envelope
  sender than the one whose From he writes.
* With a Dovecot that has `more=SASL`, anybody may sign in with his mailbox's name and password, and the topmost
  Received line says who he is.
* What comes to an address in `doors`, `address+anything` too, is handed over by LMTP at the socket `door(address)`,
  which somebody else opens, and waits while it is shut.
* A forged Authentication-Results of our name is taken out of what comes in, unless `strips_forged=False`; other
  headers after `strip(name, …)`.

Only root can run it: `needs("root", "postfix", "dovecot")` first. `log` is what it has logged, `queue()` what waits.
"""

from __future__ import annotations

import re
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

from support.dovecot import Dovecot
from support.needs import program
from support.ports import free_ports, wait_for_port

MAIN = """
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/mail.log
maillog_file_prefixes = {folder}
mail_owner = postfix
setgid_group = postdrop
myhostname = {host}
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = loopback-only
inet_protocols = ipv4
disable_dns_lookups = yes
smtpd_peername_lookup = no
smtpd_banner = $myhostname ESMTP
smtpd_client_connection_count_limit = 0
in_flow_delay = 0
minimal_backoff_time = 2s
maximal_backoff_time = 5s
queue_run_delay = 2s
message_size_limit = 60000000
mailbox_size_limit = 0
lmtp_destination_recipient_limit = 1
notify_classes =
alias_maps =
alias_database =
append_dot_mydomain = no
recipient_delimiter = +
virtual_mailbox_domains = {domains}
virtual_mailbox_maps = texthash:{folder}/mailboxes
virtual_alias_maps = regexp:{folder}/aliases
virtual_transport = lmtp:inet:127.0.0.1:{lmtp_port}
default_transport = lmtp:inet:127.0.0.1:{lmtp_port}
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_sender_restrictions = check_sender_access regexp:{folder}/verdicts
header_checks = {checks}
smtpd_tls_cert_file = {certificate}
smtpd_tls_key_file = {key}
smtpd_tls_security_level = may
transport_maps = texthash:{folder}/transport
smtpd_sasl_type = dovecot
smtpd_sasl_path = {sasl}/run/sasl
smtpd_sasl_auth_enable = {has_sasl}
smtpd_sasl_authenticated_header = yes
"""

#: For the Dovecot whose users may sign in at the Postfix.
SASL = """
service auth {
  unix_listener sasl {
    mode = 0666
  }
}
"""

MASTER = """
127.0.0.1:{port} inet n - n - - smtpd
pickup    unix  n - n 60    1 pickup
cleanup   unix  n - n -     0 cleanup
qmgr      unix  n - n 300   1 qmgr
tlsmgr    unix  - - n 1000? 1 tlsmgr
rewrite   unix  - - n -     - trivial-rewrite
bounce    unix  - - n -     0 bounce
defer     unix  - - n -     0 bounce
trace     unix  - - n -     0 bounce
verify    unix  - - n -     1 verify
flush     unix  n - n 1000? 0 flush
proxymap  unix  - - n -     - proxymap
smtp      unix  - - n -     - smtp
relay     unix  - - n -     - smtp
showq     unix  n - n -     - showq
error     unix  - - n -     - error
retry     unix  - - n -     - error
discard   unix  - - n -     - discard
lmtp      unix  - - n -     - lmtp
    flags=O
anvil     unix  - - n -     1 anvil
scache    unix  - - n -     1 scache
postlog   unix-dgram n - n - 1 postlogd
"""


class Postfix:
    """Usable with `with`; starting takes a fifth of a second."""

    def __init__(
        self,
        dovecot: Dovecot,
        verified: Iterable[str] = (),
        authserv_id: str = "mail.firm.example",
        strips_forged: bool = True,
        catch_all: dict[str, str] | None = None,  # domain -> mailbox: {"reply.firm.example": "desk@firm.example"}
        doors: Iterable[str] = (),
    ) -> None:
        self.dovecot = dovecot
        self.verified = set(verified)
        self.authserv_id = authserv_id
        self.strips_forged = strips_forged
        self.catch_all = catch_all or {}
        self.doors = list(doors)
        self._stripped: tuple[str, ...] = ()
        self.folder = Path(tempfile.mkdtemp(prefix="postfix-"))
        (self.port,) = free_ports(1)
        # Our own line is known by a comment that no test can forge.
        self._mark = secrets.token_hex(8)

    def __enter__(self) -> Postfix:
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
        path = self.folder / "mail.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def door(self, address: str) -> Path:
        """The socket at which mail to this address is handed over. Its folder gives it to Postfix's group."""
        return self.folder / "doors" / address

    def flush(self) -> None:
        """Try all that waits, now."""
        self._run("postqueue", "-c", self._config, "-f")

    def queue(self) -> str:
        """What waits, one JSON object a line; "" when nothing does."""
        return self._run("postqueue", "-c", self._config, "-j").stdout

    @property
    def _config(self) -> str:
        return str(self.folder / "config")

    def _prepare(self) -> None:
        self.folder.chmod(0o755)
        for name in ("config", "queue", "data"):
            (self.folder / name).mkdir()
        shutil.chown(self.folder / "data", "postfix")
        (self.folder / "doors").mkdir()
        shutil.chown(self.folder / "doors", group="postfix")
        (self.folder / "doors").chmod(0o2750)
        domains = {user.rpartition("@")[2] for user in self.dovecot.users} | set(self.catch_all)
        certificates = self.dovecot.certificates
        assert certificates is not None, "start the Dovecot first"
        checks = f"regexp:{self.folder}/header_checks" if self.strips_forged else ""
        (self.folder / "config" / "main.cf").write_text(
            MAIN.format(
                folder=self.folder, host=self.authserv_id, domains=", ".join(sorted(domains)),
                lmtp_port=self.dovecot.lmtp_port, checks=checks,
                certificate=certificates.certificate, key=certificates.key,
                sasl=self.dovecot.folder, has_sasl="yes" if SASL in self.dovecot.more else "no",
            )
        )  # fmt: skip
        (self.folder / "config" / "master.cf").write_text(MASTER.format(port=self.port))
        self._write_tables()

    def _verdict(self, result: str) -> str:
        return f"PREPEND Authentication-Results: {self.authserv_id}; {result} (seal={self._mark})"

    def _write_tables(self) -> None:
        boxes = "".join(f"{user.lower()} yes\n" for user in self.dovecot.users)
        (self.folder / "mailboxes").write_text(boxes)
        transport = "".join(f"{one.lower()} lmtp:unix:{self.door(one)}\n" for one in self.doors)
        (self.folder / "transport").write_text(transport)
        passes = [
            f"/^{re.escape(one)}$/ {self._verdict('dmarc=pass')} header.from={one.rpartition('@')[2]}"
            for one in sorted(self.verified)
        ]
        # The first that matches counts; the null sender comes as "<>".
        verdicts = [*passes, f"/./ {self._verdict('dmarc=none')}"]
        (self.folder / "verdicts").write_text("\n".join(verdicts) + "\n")
        aliases = "".join(f"/@{re.escape(domain)}$/ {box}\n" for domain, box in self.catch_all.items())
        (self.folder / "aliases").write_text(aliases)
        ours = re.escape(self.authserv_id)
        checks = f"if !/seal={self._mark}/\n/^Authentication-Results:[[:space:]]*{ours}/ IGNORE\nendif\n"
        checks += "".join(f"/^{re.escape(name)}:/ IGNORE\n" for name in self._stripped)
        (self.folder / "header_checks").write_text(checks)

    def verify(self, *senders: str) -> None:
        """From now on these senders pass as well."""
        self.verified |= set(senders)
        self._write_tables()
        self._run("postfix", "-c", self._config, "reload")

    def strip(self, *names: str) -> None:
        """From now on these headers, and no others, are taken out of what comes in."""
        self._stripped = names
        self._write_tables()
        self._run("postfix", "-c", self._config, "reload")

    def start(self) -> None:
        started = self._run("postfix", "-c", self._config, "start")
        try:
            wait_for_port(self.port, still_lives=lambda: started.returncode == 0)
        except Exception as error:
            self.stop()
            raise RuntimeError(f"Postfix did not start: {started.stderr[-1000:]} {self.log[-2000:]}") from error

    def stop(self) -> None:
        """What is in the queue stays there, and is delivered after the next `start()`."""
        self._run("postfix", "-c", self._config, "stop")

    def _run(self, *command: str) -> subprocess.CompletedProcess[str]:
        words = [program(command[0]), *command[1:]]
        # Into files, not pipes: its daemons would keep a pipe open.
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=out, stderr=err, timeout=30)
            out.seek(0)
            err.seek(0)
            return subprocess.CompletedProcess(words, done.returncode, out.read(), err.read())
