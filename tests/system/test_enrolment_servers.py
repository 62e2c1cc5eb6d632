"""Enrolment over real servers: a welcome goes out and is answered; a probe shows what the border lets through.

Postfix stands for the tenant's public host, which takes Exchange's mark out of what comes from outside, or does not;
mail of a colleague, which never passes it, is put into the mailbox with the mark on it.
"""

from __future__ import annotations

import json
import smtplib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.daemon import ROOT, Daemon
from support.firm import Firm, is_answer, plain, servers
from support.mailclients import CUSTOMERS, answer_address

pytestmark = pytest.mark.system

MEI = "mei@customer.example"
MARK = "X-MS-Exchange-Organization-AuthAs"


@pytest.fixture(scope="module")
def both() -> Iterator[Any]:
    with servers(["own", "probed"], [MEI]) as pair:
        yield pair


def said(firm: Firm, *words: str) -> tuple[int, list[dict[str, Any]]]:
    """What a command ends with, and its lines."""
    command = [sys.executable, "-m", "intake", *words, "--json", "--config", str(firm.config)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.stderr == ""
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def reply_to(mail: Any, sender: str, *more: str, words: str = "收到") -> bytes:
    lines = [
        *more,
        f"From: {sender}",
        f"To: {answer_address(mail)}",
        f"Subject: Re: {abs(hash((sender, words)))}",
        f"Message-ID: <{abs(hash((sender, words, *more)))}@{sender.partition('@')[2]}>",
        f"In-Reply-To: {mail['Message-ID']}",
        f"References: {mail['Message-ID']}",
        "Content-Type: text/plain; charset=utf-8",
        "",
        words,
        "",
    ]
    return "\r\n".join(lines).encode()


def test_a_welcome_is_answered_from_his_own_and_from_another_account(both: Any, tmp_path: Path) -> None:
    firm = Firm(tmp_path, *both, suffix="own")
    with Daemon(firm.config) as daemon:
        code, [asked] = said(firm, "enrol", "chen")
        welcome = firm.box(firm.chen).wait_for(lambda m: "請回覆這封信兩次" in str(m["Subject"]))

        firm.send(firm.chen, answer_address(welcome), reply_to(welcome, firm.chen, "X-Mailer: Microsoft Outlook 16.0"))
        told = firm.box(firm.chen).wait_for(lambda m: "✓ 認得您從電腦" in plain(m))
        firm.send(MEI, answer_address(welcome), reply_to(welcome, MEI, "X-Mailer: iPhone Mail (21A329)"))
        warned = firm.box(firm.chen).wait_for(lambda m: "別的地址" in plain(m))
        daemon.settle()
        _, [chen, *_] = said(firm, "enrol")

    assert (code, asked["by"], asked["address"]) == (0, "daemon", firm.chen)
    assert "還差：手機" in plain(told)
    assert MEI in plain(warned)
    assert (chen["stage"], chen["counts"], chen["missing"]) == ("proven", ["authserv"], ["phone"])
    assert [(s["address"], s["own"]) for s in chen["seen"]] == [(firm.chen, True), (MEI, False)]
    assert firm.box(MEI).mails() == []


def test_g8_exchanges_mark_counts_once_the_border_has_shown_that_it_takes_it_out(both: Any, tmp_path: Path) -> None:
    firm = Firm(tmp_path, *both, suffix="probed", chen='evidence = ["exchange-internal"]')
    dovecot, postfix = both
    through = f"127.0.0.1:{postfix.port}"

    def from_inside(raw: bytes) -> None:
        with smtplib.LMTP("127.0.0.1", dovecot.lmtp_port) as lmtp:
            lmtp.sendmail(firm.chen, [firm.desk], raw)

    with Daemon(firm.config) as daemon:
        kept_code, [kept] = said(firm, "enrol", "--probe", "mail", "--through", through, "--from", MEI)
        firm.send(MEI, firm.desk, CUSTOMERS["gmail"](MEI, "王美玲", firm.desk, "營業稅", "請問怎麼申報？"))
        work = firm.box(firm.chen).wait_for(lambda m: "營業稅" in str(m["Subject"]))
        from_inside(reply_to(work, firm.chen, f"{MARK}: Internal", words="還沒測試過"))
        daemon.wait_for("reply_held", why="no_evidence")

        postfix.strip(MARK)
        code, [stripped] = said(firm, "enrol", "--probe", "mail", "--through", through, "--from", MEI)
        forged = reply_to(work, firm.chen, f"{MARK}: Internal", words="請匯到這個帳戶")
        firm.send("eve@evil.example", answer_address(work), forged)
        daemon.settle()
        from_inside(reply_to(work, firm.chen, f"{MARK}: Internal", words="15 日截止，來得及。"))
        answered = firm.box(MEI).wait_for(is_answer)
        daemon.settle()
        tickets = daemon.rows("SELECT id FROM ticket")
        why = daemon.rows("SELECT data FROM event WHERE kind = 'reply_held'")

    assert (kept_code, kept["result"]) == (1, "kept")
    assert (code, stripped["result"]) == (0, "stripped")
    assert [mail for mail in firm.box(MEI).all(is_answer) if "帳戶" in plain(mail) or "還沒" in plain(mail)] == []
    assert "來得及" in plain(answered)
    assert len(why) == 2
    assert len(tickets) == 1  # the probes opened none
