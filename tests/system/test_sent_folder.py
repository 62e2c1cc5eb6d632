"""The Sent folder of the desk's own account, on a real Dovecot: a person's answer counts, our own mail never does.

Providers put what passes their relay into that folder, some under another Message-ID; a person who answers from the
desk's mailbox puts his words there as well. Nothing in it is flagged, moved or read a second time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from support.daemon import Daemon, wait_until
from support.dovecot import Dovecot
from support.firm import PASSWORD, Firm, is_answer, is_automatic, people, plain
from support.mailclients import CUSTOMERS, REPLIES, answer_address
from support.needs import needs
from support.postfix import Postfix

pytestmark = pytest.mark.system

SENT = "Ablage gesendet"  # only the server's mark tells what it is for
MORE = f"namespace inbox {{\n mailbox {SENT!r} {{\n auto = create\n special_use = \\Sent\n }}\n}}\n".replace("'", '"')
MEI, JUN = "mei@customer.example", "jun@customer.example"
OLD = b"From: support@firm.example\r\nTo: mei@customer.example\r\nMessage-ID: <old@x.example>\r\n\r\nold\r\n"


@pytest.fixture(scope="module")
def firm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firm]:
    needs("root", "dovecot", "openssl", "postfix", "setpriv")
    everybody = [*people(), MEI, JUN]
    with (
        Dovecot(dict.fromkeys(everybody, PASSWORD), more=MORE) as dovecot,
        Postfix(dovecot, verified=everybody, catch_all={}, doors=[]) as postfix,
    ):
        made = Firm(tmp_path_factory.mktemp("firm"), dovecot, postfix, imap='sent_folder = "auto"')
        dovecot.append(made.desk, [OLD], folder=f'"{SENT}"', date='"01-Jan-2019 00:00:00 +0000"')
        yield made


@pytest.fixture(scope="module")
def daemon(firm: Firm) -> Iterator[Daemon]:
    with Daemon(firm.config, drain=20.0) as running:
        yield running
        print(running.story())
    assert running.noise == []


def asked(firm: Firm, who: str, subject: str) -> tuple[str, int]:
    """A customer writes and his agent has it: his mail's Message-ID, and the ticket."""
    raw = CUSTOMERS["gmail"](who, "王美玲", firm.desk, subject, "請問什麼時候截止？")
    firm.send(who, firm.desk, raw)
    mail = firm.box(firm.chen).wait_for(lambda m: who in plain(m) and subject in str(m["Subject"]))
    number = int(re.findall(r"#(\d+)", str(mail["Subject"]))[0])
    return re.findall(rb"(?i)\nmessage-id:\s*(<[^>]+>)", raw)[0].decode(), number


def renamed(raw: bytes, number: int) -> bytes:
    """As a provider files it that gives an id of its own."""
    return re.sub(rb"(?im)^message-id:.*(\r\n[ \t].*)*", b"Message-ID: <%d@provider.example>" % number, raw, count=1)


def met(daemon: Daemon, ticket: int) -> list[object]:
    return [r["met_at"] for r in daemon.rows(f"SELECT met_at FROM target WHERE ticket = {ticket}")]


def ignored(daemon: Daemon) -> int:
    return sum(line.get("event") == "message_ignored" and line.get("verdict") == "sent" for line in daemon.lines)


def written(firm: Firm, to: str, answers: str, sender: str, number: int) -> bytes:
    """What a web mailer files: somebody's words in the desk's name."""
    lines = [
        f"From: {sender}", f"To: {to}", "Subject: Re: tax", f"Message-ID: <web.{number}@provider.example>",
        f"In-Reply-To: {answers}", "MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-8",
    ]  # fmt: skip
    return "\r\n".join([*lines, "", "截止日是 15 日。", ""]).encode()


def test_a_persons_answer_counts_and_our_own_mail_does_not(firm: Firm, daemon: Daemon) -> None:
    dovecot, place = firm.dovecot, f'"{SENT}"'
    wait_until(lambda: daemon.rows("SELECT 1 FROM cursor WHERE name = ?", SENT), "the folder is being read")
    first_id, ticket = asked(firm, MEI, "營業稅")
    firm.box(MEI).wait_for(is_automatic)
    ours = [*dovecot.fetch_all(MEI).values(), *dovecot.fetch_all(firm.chen).values()]

    dovecot.append(firm.desk, [renamed(raw, number) for number, raw in enumerate(ours)], folder=place)
    wait_until(lambda: ignored(daemon) == len(ours), "our own mail is known")
    dovecot.deliver(firm.desk, written(firm, MEI, first_id, firm.desk, 1), sender=firm.desk)
    daemon.wait_for("message_accepted", message=2 + len(ours))
    daemon.settle()

    assert met(daemon, ticket) == [None]

    dovecot.append(
        firm.desk,
        [written(firm, MEI, first_id, f"=?utf-8?q?=E9=99=B3=E6=80=A1=E5=90=9B?= <{firm.desk}>", 2)],
        folder=place,
    )
    recorded = daemon.wait_for("answer_recorded", ticket=ticket)

    assert (recorded["how"], recorded["agent"]) == ("sent_folder", "chen")
    assert met(daemon, ticket) != [None]
    assert dovecot.seen(firm.desk, place) == []
    assert len(dovecot.fetch_all(firm.desk, place)) == len(ours) + 2


def test_what_the_daemon_sent_for_an_agent_is_his_once(firm: Firm, daemon: Daemon) -> None:
    dovecot, place = firm.dovecot, f'"{SENT}"'
    _, ticket = asked(firm, JUN, "退稅")
    mail = firm.box(firm.chen).wait_for(lambda m: f"#{ticket}" in str(m["Subject"]))
    firm.send(firm.chen, answer_address(mail), REPLIES["gmail"](mail, "陳怡君", firm.chen, "下週會到。"))
    firm.box(JUN).wait_for(is_answer)
    [answer] = [raw for raw in dovecot.fetch_all(JUN).values() if b"Auto-Submitted" not in raw]
    before = ignored(daemon)

    dovecot.append(firm.desk, [answer, renamed(answer, 77)], folder=place)
    wait_until(lambda: ignored(daemon) == before + 2, "our own mail is known")

    assert [line for line in daemon.lines if line.get("event") == "answer_recorded" and line["ticket"] == ticket] == []


def test_what_lay_there_before_was_left_alone(firm: Firm, daemon: Daemon) -> None:
    assert daemon.rows("SELECT 1 FROM message WHERE external_id LIKE ?", f"{SENT};%;1") == []
