"""A real mail program in a terminal of its own: neomutt in tmux, driven by keys as a person drives it.

    with Mutt(user, "secret", dovecot.imap_port, postfix.port, display_name="陳怡君", rc='set include = yes') as mutt:
        mutt.open("<message-id>")             # finds it in the mailbox and opens it; `mutt.screen()` shows it
        mutt.reply("您好，……")                 # r, words above what it quotes, y; returns once it says "Mail sent"
        mutt.reply("！備註", key="g", where=BELOW)

It reads by IMAP and sends by SMTP on the loopback. The editor that it starts does what a person's hands do: words go
above or below everything that neomutt has put there, or instead of it. tmux has a socket of its own, and whatever was
started is ended by it and by its number. Every wait is bounded. `needs("neomutt", "tmux")` first.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from support.needs import program

PATIENCE = 20.0  # seconds for whatever the screen should show
WIDTH, HEIGHT = 120, 60  # of the terminal, in characters

ABOVE, BELOW, INSTEAD, AROUND = "above", "below", "instead", "around"

RC = r"""
set realname = "{display_name}"
set from = "{user}"
set use_from = yes
set use_envelope_from = yes
set envelope_from_address = "{user}"
set hostname = "{domain}"
set folder = "imap://127.0.0.1:{imap_port}/"
set imap_user = "{user}"
set imap_pass = "{password}"
set imap_authenticators = "login"
set spool_file = "+INBOX"
set smtp_url = "smtp://127.0.0.1:{smtp_port}/"
set ssl_starttls = no
set ssl_force_tls = no
set record = ""
set copy = no
set postponed = "{folder}/postponed"
set tmpdir = "{folder}"
set header_cache = ""
set history_file = "{folder}/history"
set mailcap_path = "{folder}/mailcap"
set charset = "utf-8"
set send_charset = "us-ascii:utf-8"
set editor = "{folder}/editor"
set pager_stop = yes
set sort = date
set move = no
set mark_old = no
set quit = yes
set abort_unmodified = no
set abort_nosubject = no
set abort_noattach = no
set fast_reply = yes
set include = yes
set reply_to = yes
set recall = no
set forward_edit = yes
set wait_key = no
set sleep_time = 0
set crypt_use_gpgme = no
set help = no
ignore *
unignore from: subject: to: cc: date: reply-to:
unset signature
{rc}
"""

#: What a person does in an editor: leave what is there, and write above, below, or on both sides of it, or instead.
EDITOR = r"""#!{python}
import pathlib, sys
folder, mail = pathlib.Path({folder!r}), pathlib.Path(sys.argv[-1])
words, where = (folder / "words").read_text("utf-8"), (folder / "where").read_text("utf-8")
there = mail.read_bytes()
parts = {{
    "above": [words.encode(), b"\n\n", there],
    "below": [there, b"\n", words.encode(), b"\n"],
    "around": [words.encode(), b"\n\n", there, b"\n", words.encode(), b"\n"],
    "instead": [words.encode(), b"\n"],
}}
(folder / "before").write_bytes(there)
mail.write_bytes(b"".join(parts[where]))
"""


class Mutt:
    """One neomutt in one terminal; usable with `with`."""

    def __init__(
        self,
        user: str,
        password: str,
        imap_port: int,
        smtp_port: int,
        *,
        display_name: str = "",
        rc: str = "",
        shows: str = "",
    ) -> None:
        self._shows = shows  # Message-ID of the mail to open at once
        self.folder = Path(tempfile.mkdtemp(prefix="mutt-"))
        self._socket = self.folder / "tmux"
        self._pid = 0  # of the tmux server
        domain = user.rpartition("@")[2]
        self._write("words", "")
        self._write("where", ABOVE)
        self._write("muttrc", RC.format(
            user=user, password=password, imap_port=imap_port, smtp_port=smtp_port, domain=domain,
            display_name=display_name, folder=self.folder, rc=rc.format(folder=self.folder),
        ))  # fmt: skip
        self._write("editor", EDITOR.format(python=sys.executable, folder=str(self.folder)))
        (self.folder / "editor").chmod(0o700)

    def _write(self, name: str, words: str) -> None:
        (self.folder / name).write_text(words, "utf-8")

    def write_signature(self, words: str) -> None:
        """The file that `set signature = "{folder}/signature"` names."""
        self._write("signature", words)

    def __enter__(self) -> Mutt:
        self._tmux(
            "-f", "/dev/null", "new-session", "-d", "-x", str(WIDTH), "-y", str(HEIGHT),
            program("neomutt"), "-n", "-F", str(self.folder / "muttrc"),
        )  # fmt: skip
        self._pid = int(self._tmux("display-message", "-p", "#{pid}"))
        self._tmux("set-option", "-g", "status", "off")
        try:
            self.see("Msgs:")
            if self._shows:
                self.open(self._shows)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and self.lives:
            sys.stderr.write(f"--- the screen showed:\n{self.screen()}\n")
        self._end()

    def _end(self) -> None:
        """Its terminal goes away, and neomutt with it; by its socket, else by its number."""
        with suppress(subprocess.SubprocessError):
            self._tmux("kill-server")
        deadline = time.monotonic() + 5.0
        while self.lives and time.monotonic() < deadline:
            time.sleep(0.02)
        if self.lives:
            with suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def lives(self) -> bool:
        """True while the terminal that was started here is there."""
        try:
            return bool(self._pid) and b"tmux" in Path(f"/proc/{self._pid}/cmdline").read_bytes()
        except OSError:
            return False

    # ---- keys and screen

    def _tmux(self, *words: str) -> str:
        environment = {
            "PATH": os.environ.get("PATH", os.defpath), "HOME": str(self.folder), "TERM": "screen-256color",
            "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "TMPDIR": str(self.folder), "SHELL": "/bin/sh",
        }  # fmt: skip
        command = [program("tmux"), "-u", "-S", str(self._socket), *words]
        done = subprocess.run(
            command, check=True, capture_output=True, stdin=subprocess.DEVNULL, env=environment, timeout=10, cwd="/"
        )
        return done.stdout.decode()

    def press(self, *keys: str) -> None:
        """Keys by their names in tmux: `r`, `Enter`, `C-u`."""
        self._tmux("send-keys", *keys)

    def type(self, words: str) -> None:
        """Letters as they are, and Enter."""
        self._tmux("send-keys", "-l", words)
        self._tmux("send-keys", "Enter")

    def screen(self) -> str:
        return self._tmux("capture-pane", "-p")

    def see(self, words: str, seconds: float = PATIENCE) -> str:
        """The screen, once it shows these words. Raises AssertionError."""
        deadline = time.monotonic() + seconds
        while True:
            shown = self.screen() if self.lives else "(it has ended)"
            if words in shown:
                return shown
            if not self.lives or time.monotonic() > deadline:
                raise AssertionError(f"the screen never showed {words!r} but:\n{shown}")
            time.sleep(0.03)

    # ---- what a person does with it

    def open(self, message_id: str) -> None:
        """Show the mail of that id, and nothing beside it."""
        self.press("l")
        self.see("Limit to messages matching:")
        self.press("C-u")
        self.type(f"~i '{re.escape(message_id.strip('<> '))}'")
        assert "No messages matched" not in self.see("Msgs:1")
        self.press("Enter")
        self.see("Subject:")

    def writes(self, words: str, where: str = ABOVE) -> None:
        """What will be written when the editor is next opened."""
        self._write("words", words)
        self._write("where", where)

    def compose(self, key: str, words: str, where: str = ABOVE) -> None:
        """Open the editor with this key, write, and stand before the finished mail."""
        self.writes(words, where)
        self.press(key)
        self.see("NeoMutt: Compose")

    def add(self, key: str, prompt: str, address: str) -> None:
        """`c` and "Cc:", `b` and "Bcc:" before the finished mail."""
        self.press(key)
        self.see(f"\n{prompt}")
        self.press("C-e")
        self.type(address)

    def send(self) -> None:
        self.press("y")
        self.see("Mail sent")

    def reply(self, words: str, *, key: str = "r", where: str = ABOVE) -> None:
        """Press the key, write, send."""
        self.compose(key, words, where)
        self.send()

    @property
    def quoted(self) -> str:
        """What neomutt had put into the editor before anything was written: the quote, the signature."""
        return (self.folder / "before").read_text("utf-8")
