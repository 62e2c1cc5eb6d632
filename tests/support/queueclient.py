"""A mail server that hands its queue over by LMTP or SMTP, and keeps what was not answered with 250.

    queue = QueueClient("127.0.0.1", port)
    queue.put("wang@customer.example", "support@firm.example", raw)
    with queue.running(): …          # hands over, again and again, until all is taken
    queue.kept                       # what it has heard 250 for, in that order: its own ledger

It is as hasty as a test needs: a mail that was not taken is tried again a few hundredths of a second later.
"""

from __future__ import annotations

import smtplib
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from support.daemon import PATIENCE, wait_until

PAUSE = 0.03  # seconds between two tries


@dataclass(frozen=True)
class Queued:
    sender: str
    recipient: str
    raw: bytes


class QueueClient:
    """One sender; several may run side by side at one door."""

    def __init__(self, place: str, port: int = 0) -> None:
        self._place = place  # an address, or the path of a socket
        self._port = port
        self._waiting: deque[Queued] = deque()
        self._stopped = threading.Event()
        self.kept: list[Queued] = []  # answered with 250
        self.answers: list[str] = []  # what else it heard: codes, and the names of errors

    def put(self, sender: str, recipient: str, raw: bytes) -> None:
        self._waiting.append(Queued(sender, recipient, raw))

    @property
    def is_empty(self) -> bool:
        return not self._waiting

    def wait_until_empty(self, seconds: float = PATIENCE) -> None:
        wait_until(lambda: self.is_empty, f"the queue is empty; it heard {self.answers[-5:]}", seconds)

    @contextmanager
    def running(self) -> Iterator[QueueClient]:
        self._stopped.clear()
        thread = threading.Thread(target=self._run, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._stopped.set()
            thread.join(PATIENCE)

    def try_once(self) -> None:
        """One connection: the front of the queue, until something is refused or cut."""
        try:
            with smtplib.LMTP(self._place, self._port, local_hostname="mail.firm.example", timeout=PATIENCE) as line:
                while self._waiting and not self._stopped.is_set():
                    first = self._waiting[0]
                    line.sendmail(first.sender, [first.recipient], first.raw)
                    self.kept.append(self._waiting.popleft())
        except smtplib.SMTPResponseException as refused:
            self.answers.append(str(refused.smtp_code))
        except (OSError, smtplib.SMTPException) as error:
            self.answers.append(type(error).__name__)

    def _run(self) -> None:
        while not self._stopped.wait(PAUSE):
            if self._waiting:
                self.try_once()
