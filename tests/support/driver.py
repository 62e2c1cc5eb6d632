"""One desk whose daemon may die at any moment, and what the servers' own ledgers say of it afterwards.

driver = Driver(firm, crash="decide.after_commit:2")
driver.write(customer, subject) … driver.settle()
driver.check_nothing_lost({subject, …}); driver.check_nothing_doubled([mailbox, …])
"""

from __future__ import annotations

import signal
import sqlite3
from collections import Counter
from email.message import EmailMessage
from typing import Any

from support.daemon import Daemon, wait_until
from support.firm import Firm
from support.mailclients import CUSTOMERS, REPLIES, answer_address


class Driver:
    """One desk whose daemon may die at any moment; it is started again, unarmed."""

    def __init__(self, firm: Firm, crash: str = "") -> None:
        self.firm = firm
        self.daemon = Daemon(firm.config, crash=crash, drain=20.0)
        self.deaths = 0

    def revive(self) -> None:
        """Start it again if it has killed itself."""
        if not self.daemon.lives:
            assert self.daemon.wait_end() == -signal.SIGKILL, self.daemon.story()
            self.deaths += 1
            self.check_flags()
            self.daemon.start(waits=False)

    def write(self, sender: str, subject: str) -> None:
        self.firm.send(sender, self.firm.desk, CUSTOMERS["gmail"](sender, "王美玲", self.firm.desk, subject, "請問？"))

    def reply(self, mail: EmailMessage, words: str) -> None:
        raw = REPLIES["thunderbird"](mail, "陳怡君", self.firm.chen, words)
        self.firm.send(self.firm.chen, answer_address(mail), raw)

    def wait_for(self, user: str, wanted: Any) -> EmailMessage:
        return self.firm.box(user).wait_for(wanted, meanwhile=self.revive)

    def wait_for_event(self, kind: str, subject: str) -> None:
        """Until that is told, in the store, of the ticket with that subject."""

        def is_told() -> bool:
            self.revive()
            asked = "SELECT 1 FROM event e JOIN ticket t ON t.id = e.ticket WHERE e.kind = ? AND t.subject = ?"
            return bool(self.daemon.rows(asked, kind, subject))

        wait_until(is_told, f"{kind} of {subject}")

    def settle(self) -> None:
        """Until everything in the desk's mailbox is decided, and everything of that has left."""

        def is_settled() -> bool:
            self.revive()
            if not (self.firm.folder / "intake.db").exists():
                return False
            try:
                taken = self.daemon.rows("SELECT count(*) AS n FROM message")[0]["n"]
                return taken >= len(self.firm.box(self.firm.desk).mails()) and self.daemon.is_settled()
            except sqlite3.OperationalError:  # the tables are still being made
                return False

        wait_until(lambda: not self.firm.postfix.queue(), "the border server's queue is empty")
        wait_until(is_settled, f"the desk has settled\n{self.daemon.story()}")
        wait_until(lambda: not self.firm.postfix.queue(), "the border server's queue is empty")

    # ---- what the servers' ledgers say

    def check_flags(self) -> None:
        """G1: nothing has changed at the source but for what is committed. (A crash may lose a flag, never a mail.)"""
        kept = {int(row["external_id"].split(";")[2]) for row in self.daemon.rows("SELECT external_id FROM message")}
        assert set(self.firm.dovecot.seen(self.firm.desk)) <= kept

    def check_nothing_lost(self, subjects: set[str]) -> None:
        """Each of these mails has a ticket, and only one; each mail of the mailbox was taken once, octet for octet."""
        opened = [row["subject"] for row in self.daemon.rows("SELECT subject FROM ticket")]
        assert Counter(opened) == Counter(subjects)
        taken = self.daemon.rows("SELECT m.state, m.outcome, r.data FROM message m LEFT JOIN raw r ON r.message = m.id")
        assert {row["state"] for row in taken} == {"done"}
        assert "copy" not in {row["outcome"] for row in taken}
        given = self.firm.dovecot.fetch_all(self.firm.desk)
        assert sorted(row["data"] for row in taken) == sorted(given.values())
        self.check_flags()

    def check_nothing_doubled(self, users: list[str]) -> None:
        """Every row of the outbox reached its mailbox, once; twice at most, and the same, where that was unknown."""
        rows = {
            str(row["mail_id"]): row
            for row in self.daemon.rows("SELECT mail_id, address, purpose, ticket, unknowns, state FROM outbox")
        }
        assert {row["state"] for row in rows.values()} == {"delivered"}
        delivered: dict[str, list[EmailMessage]] = {mail_id: [] for mail_id in rows}
        for user in users:
            for mail in self.firm.box(user).mails():
                row = rows[str(mail["Message-ID"])]
                assert row["address"] == f"mailto:{user}"
                delivered[row["mail_id"]].append(mail)
        for mail_id, mails in delivered.items():
            most = 1 + min(rows[mail_id]["unknowns"], 1)
            assert 1 <= len(mails) <= most, (rows[mail_id], len(mails))
            assert len({_as_sent(mail) for mail in mails}) == 1
        effects = Counter(
            (row["ticket"], row["purpose"], row["address"])
            for row in rows.values()
            if row["purpose"] in ("assignment", "acknowledgement", "answer")
        )
        assert set(effects.values()) == {1}

    def check_nothing_unknown(self) -> None:
        """Nobody was cut off in the middle of anything."""
        assert self.daemon.rows("SELECT mail_id, unknowns FROM outbox WHERE unknowns > 0") == []
        assert self.daemon.rows("SELECT id, is_alone FROM message WHERE is_alone") == []

    def check_notices(self) -> None:
        """Each promise was told of once for each reason, ever."""
        told = self.daemon.rows(
            "SELECT ticket, json_extract(data, '$.target') AS target, json_extract(data, '$.ordinal') AS ordinal, "
            "json_extract(data, '$.notice') AS notice FROM event WHERE kind IN ('target_breached', 'supervisor_told')"
        )
        assert told, "nothing was watched"
        assert max(Counter(tuple(row.values()) for row in told).values()) == 1


def _as_sent(mail: EmailMessage) -> str:
    """A mail without the lines that servers have written above it."""
    return "From:" + mail.as_string().partition("\nFrom:")[2]
