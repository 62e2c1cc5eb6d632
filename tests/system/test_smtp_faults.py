"""What a relay does to an agent's answer, and what the daemon makes of it: later, never, or nobody knows."""

from __future__ import annotations

import asyncio
import email
import json
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email import policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from support.daemon import Daemon, wait_until
from support.firm import Firm, plain, servers
from support.mailclients import CUSTOMERS, REPLIES, answer_address
from support.smtpscript import CUT, TAKE_AND_CUT, ScriptedSmtp

pytestmark = pytest.mark.system

PLACES = ["later", "never", "unknown", "quota"]
MEI = "mei@customer.example"


@pytest.fixture(scope="module")
def both() -> Iterator[Any]:
    with servers(PLACES, [MEI]) as pair:
        yield pair


@dataclass
class Desk:
    """A desk whose relay does what a script says."""

    firm: Firm
    relay: ScriptedSmtp
    daemon: Daemon

    async def answers(self, subject: str, script: dict[str, list[str]]) -> None:
        """A customer asks; then the agent answers, and the relay begins to do what the script says."""
        raw = CUSTOMERS["gmail"](MEI, "王美玲", self.firm.desk, subject, "請問？")
        await asyncio.to_thread(self.firm.send, MEI, self.firm.desk, raw)
        asked = await self.taken(self.firm.chen, lambda mail: subject in str(mail["Subject"]))
        await asyncio.to_thread(self.daemon.settle)
        self.relay.script.update(script)
        reply = REPLIES["thunderbird"](asked, "陳怡君", self.firm.chen, f"answer to {subject}")
        await asyncio.to_thread(self.firm.send, self.firm.chen, answer_address(asked), reply)

    async def taken(self, user: str, wanted: Callable[[EmailMessage], bool]) -> EmailMessage:
        """The first such mail that the relay has taken."""

        def look() -> EmailMessage | None:
            for mail in self.relay.mails:
                if mail.rcpt_to == user and wanted(read := _read(mail.octets)):
                    return read
            return None

        found = await asyncio.to_thread(wait_until, look, f"a mail to {user}")
        assert found is not None
        return found

    async def state(self, subject: str, *wanted: str) -> dict[str, Any]:
        """The answer's row, once it is in one of these states."""
        asked = (
            "SELECT o.state, o.attempts, o.unknowns, o.error, t.state AS ticket FROM outbox o "
            "JOIN ticket t ON t.id = o.ticket WHERE o.purpose = 'answer' AND t.subject = ?"
        )

        def look() -> dict[str, Any] | None:
            rows = self.daemon.rows(asked, subject)
            return rows[0] if rows and rows[0]["state"] in wanted else None

        found = await asyncio.to_thread(wait_until, look, f"the answer to {subject} is {wanted}")
        assert found is not None
        return found

    def copies(self, words: str) -> list[bytes]:
        """The octets of every mail to the customer with these words that the relay has taken."""
        return [m.octets for m in self.relay.mails if m.rcpt_to == MEI and words in plain(_read(m.octets))]


def _read(octets: bytes) -> EmailMessage:
    return email.message_from_bytes(octets, policy=policy.default)  # type: ignore[return-value]


@asynccontextmanager
async def desk_at(both: Any, folder: Path, suffix: str) -> AsyncIterator[Desk]:
    async with ScriptedSmtp() as relay:
        firm = Firm(folder, *both, suffix=suffix, smtp_port=relay.port)
        daemon = Daemon(firm.config)
        await asyncio.to_thread(daemon.start)
        try:
            yield Desk(firm, relay, daemon)
            await asyncio.to_thread(daemon.stop)
        except BaseException:
            print(daemon.story())  # for whoever reads why it failed
            raise
        finally:
            await asyncio.to_thread(daemon.kill)


async def test_g3_what_a_relay_does_not_take_now_it_takes_later_once(both: Any, tmp_path: Path) -> None:
    cases = {
        "mail": {"MAIL": ["451 4.3.0 later"]},
        "rcpt": {"RCPT": ["450 4.2.0 greylisted"]},
        "data": {"DATA": ["451 4.3.0 later"]},
        "dot": {".": ["452 4.3.1 no space"]},
        "cut": {"DATA": [CUT]},
    }
    async with desk_at(both, tmp_path, "later") as desk:
        for subject, script in cases.items():
            await desk.answers(subject, script)
            done = await desk.state(subject, "delivered", "failed", "unknown")
            assert (subject, done["state"], done["attempts"], done["ticket"]) == (subject, "delivered", 2, "answered")

        assert [len(desk.copies(f"answer to {subject}")) for subject in cases] == [1] * len(cases)


async def test_what_a_relay_refuses_for_good_is_told_to_the_agent_and_its_ticket_is_open_again(
    both: Any, tmp_path: Path
) -> None:
    async with desk_at(both, tmp_path, "never") as desk:
        await desk.answers("refused", {"RCPT": ["550 5.1.1 no such user here"]})
        failed = await desk.state("refused", "failed")
        told = await desk.taken(desk.firm.chen, lambda mail: "no such user here" in plain(mail))
        [open_target] = desk.daemon.rows("SELECT met_at FROM target WHERE kind = 'first_response'")

        assert (failed["attempts"], failed["ticket"], open_target["met_at"]) == (1, "open", None)
        assert "answer to refused" in plain(told)
        assert desk.copies("answer to refused") == []


async def test_g3_a_line_lost_after_the_dot_is_unknown_and_is_tried_once_more_with_the_same_octets(
    both: Any, tmp_path: Path
) -> None:
    async with desk_at(both, tmp_path, "unknown") as desk:
        await desk.answers("once", {".": [TAKE_AND_CUT]})
        once = await desk.state("once", "delivered", "failed")
        await desk.answers("twice", {".": [TAKE_AND_CUT, TAKE_AND_CUT]})

        def is_final() -> bool:
            return bool(desk.daemon.said("delivery_unknown", final=True))

        await asyncio.to_thread(wait_until, is_final, "it is unknown for good")
        twice = await desk.state("twice", "unknown")
        await asyncio.to_thread(desk.daemon.settle)

        first, second = desk.copies("answer to once"), desk.copies("answer to twice")
        assert (once["state"], once["unknowns"], len(first), len(set(first))) == ("delivered", 1, 2, 1)
        assert (twice["unknowns"], twice["ticket"], len(second), len(set(second))) == (2, "open", 2, 1)
        assert desk.daemon.rows("SELECT agent FROM outbox WHERE purpose = 'told'") == [{"agent": "chen"}]


async def test_a_full_account_fails_nobodys_mail_and_is_said_where_an_operator_looks(both: Any, tmp_path: Path) -> None:
    async with desk_at(both, tmp_path, "quota") as desk:
        await desk.answers("full", {".": ["550 5.4.5 Daily user sending quota exceeded"]})
        await asyncio.to_thread(desk.daemon.wait_for, "account_refused")
        waiting = await desk.state("full", "pending")
        said = await asyncio.to_thread(_healthz, desk.firm.url)

        assert (waiting["attempts"], waiting["ticket"]) == (1, "answered")
        assert "Daily user sending quota exceeded" in said["paced"]["mail"]["why"]
        assert said["ok"] is False


def _healthz(url: str) -> Any:
    try:
        with urllib.request.urlopen(f"{url}/healthz", timeout=10) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        return json.load(error)
