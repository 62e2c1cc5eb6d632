"""What reaches whom, with the daemon as a process: an agent's HTML, copies, wishes for another address, large files.

The desk seals its store and hands out links to files; so the whole circle runs that way too. A relay that puts ids of
its own in place of ours has a desk to itself.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import quopri
import random
import re
import sqlite3
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from support.daemon import Daemon, wait_until
from support.firm import Firm, is_answer, plain, servers
from support.leaks import everything, leaked
from support.mailclients import CUSTOMERS, REPLIES, answer_address
from support.richreplies import PNG, RICH, TABLE
from support.smtpscript import ScriptedSmtp

pytestmark = pytest.mark.system

MEI, CHEN = "王美玲", "陳怡君"
LEE = "lee@customer.example"
STRANGER = "stranger@elsewhere.example"
OFFICE = "office@elsewhere.example"
PLACES = ["desk", "sealed", "ids0", "ids1", "ids2"]
NAMES = [f"mei{n}@customer.example" for n in range(12)]
SEALED = 'key = { file = "store.key" }'
STORE_KEY = "s" * 43
_names = iter(NAMES)


@pytest.fixture(scope="module")
def both() -> Iterator[Any]:
    with servers(PLACES, [*NAMES, LEE, STRANGER, OFFICE]) as pair:
        yield pair


def sealed_firm(folder: Path, both: Any, suffix: str, **changes: Any) -> Firm:
    """A desk that seals what it keeps."""
    folder.mkdir(exist_ok=True)
    (folder / "store.key").write_text(STORE_KEY + "\n")
    (folder / "store.key").chmod(0o600)
    return Firm(folder, *both, suffix=suffix, store=SEALED, **changes)


@pytest.fixture(scope="module")
def firm(both: Any, tmp_path_factory: pytest.TempPathFactory) -> Firm:
    return sealed_firm(tmp_path_factory.mktemp("desk"), both, "desk", http='public_url = "{url}"')


@pytest.fixture(scope="module")
def daemon(firm: Firm) -> Iterator[Daemon]:
    with Daemon(firm.config, drain=20.0) as running:
        yield running
        print(running.story())
        running.stop()
    assert running.noise == []  # no traceback, no warning


def with_headers(raw: bytes, *headers: str) -> bytes:
    """A mail with these above all others."""
    return "".join(f"{line}\r\n" for line in headers).encode() + raw


def ask(firm: Firm, customer: str, subject: str, *headers: str, words: str = "請問？") -> EmailMessage:
    """The customer writes; the mail that the agent gets."""
    raw = CUSTOMERS["gmail"](customer, MEI, firm.desk, subject, words)
    firm.send(customer, firm.desk, with_headers(raw, *headers))
    return firm.box(firm.chen).wait_for(lambda m: customer in plain(m) and subject in str(m["Subject"]))


def answered(firm: Firm, mail: EmailMessage, words: str, to: str) -> EmailMessage:
    """The agent replies; the mail that this person gets."""
    firm.send(firm.chen, answer_address(mail), REPLIES["outlook"](mail, CHEN, firm.chen, words))
    return firm.box(to).wait_for(lambda m: is_answer(m) and words in plain(m))


def settle(firm: Firm, daemon: Daemon) -> None:
    daemon.settle()
    wait_until(lambda: not firm.postfix.queue(), "the border server's queue is empty")


# ---- an agent's HTML


@pytest.mark.parametrize("client", [*RICH])
def test_g15_a_table_and_a_picture_reach_the_customer_and_nothing_of_the_card(
    firm: Firm, daemon: Daemon, client: str
) -> None:
    customer, words = next(_names), "王小姐您好：\n\n金額如下。"
    asked = ask(firm, customer, "滯納金怎麼算")
    firm.send(firm.chen, answer_address(asked), RICH[client](asked, CHEN, firm.chen, words))
    answer = firm.box(customer).wait_for(is_answer)

    html = answer.get_body(("html",))
    pictures = [part for part in answer.walk() if part.get_content_maintype() == "image"]
    assert html is not None
    shown = str(html.get_content())
    table = re.search(r"<table.*?</table>", shown, re.DOTALL)
    assert table is not None
    rows = [
        re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL) for row in re.findall(r"<tr.*?</tr>", table[0], re.DOTALL)
    ]
    assert [[re.sub(r"<[^>]*>|\s", "", cell) for cell in row] for row in rows] == [list(row) for row in TABLE]
    assert [part.get_payload(decode=True) for part in pictures] == [PNG]
    assert f'src="cid:{str(pictures[0]["Content-ID"]).strip("<>")}"' in shown
    read = plain(answer).replace("\r\n", "\n")
    assert read.startswith(words)
    assert all(cell in read for row in TABLE for cell in row)
    assert leaked(answer, asked, firm) == []


# ---- who gets it


def test_a_known_contact_in_his_copy_line_gets_the_answer_and_a_stranger_does_not(firm: Firm, daemon: Daemon) -> None:
    customer = next(_names)
    ask(firm, customer, "before")
    settle(firm, daemon)
    [known] = daemon.rows("SELECT customer FROM contact WHERE address = ?", f"mailto:{customer}")
    with closing(sqlite3.connect(firm.folder / "intake.db", timeout=10)) as beside, beside:
        beside.execute(
            "INSERT INTO contact (address, customer, name, source, first_seen_at, is_verified) "
            "SELECT ?, customer, '李經理', 'import', first_seen_at, 0 FROM contact WHERE customer = ?",
            (f"mailto:{LEE}", known["customer"]),
        )
    asked = ask(firm, customer, "copies", f"Cc: =?utf-8?B?5p2O57aT55CG?= <{LEE}>, {STRANGER}, {firm.lin}")
    answer = answered(firm, asked, "您好，副本也請李經理看。", customer)
    copy = firm.box(LEE).wait_for(is_answer)
    settle(firm, daemon)

    assert copy["Message-ID"] == answer["Message-ID"]
    assert plain(copy) == plain(answer)
    assert [a.addr_spec for a in answer["Cc"].addresses] == [LEE]
    assert firm.box(STRANGER).mails() == []
    assert firm.box(firm.lin).all(is_answer) == []
    assert STRANGER in plain(asked)  # he is shown, so that the agent may let him in
    assert [one for one in (firm.lin, STRANGER) if one in everything(answer)] == []
    assert leaked(answer, asked, firm) == []


def test_another_reply_to_gets_nothing_until_the_agent_says_so(firm: Firm, daemon: Daemon) -> None:
    customer = next(_names)
    asked = ask(firm, customer, "swap", f"Reply-To: {OFFICE}")
    first = answered(firm, asked, "第一封答覆。", customer)
    settle(firm, daemon)
    before = firm.box(OFFICE).mails()
    firm.send(
        firm.chen, answer_address(asked), REPLIES["outlook"](asked, CHEN, firm.chen, "！回覆到\n這封寄到辦公室。")
    )
    second = firm.box(OFFICE).wait_for(is_answer)
    settle(firm, daemon)

    assert OFFICE in plain(asked)
    assert before == []
    assert [a.addr_spec for a in first["To"].addresses] == [customer]
    assert "這封寄到辦公室。" in plain(second)
    assert firm.box(customer).all(lambda m: "這封寄到辦公室" in plain(m)) == []


# ---- files too large to be mailed


def test_a_file_too_large_for_a_mail_is_fetched_by_the_agents_link(firm: Firm, daemon: Daemon) -> None:
    customer = next(_names)
    content = random.Random(7).randbytes(21_500_000)  # 29 MB as base64: nearly all that is fetched whole
    firm.send(customer, firm.desk, _with_file(customer, firm.desk, "帳冊 2026.zip", content))
    asked = firm.box(firm.chen).wait_for(lambda m: "large file" in str(m["Subject"]))
    settle(firm, daemon)
    [link] = set(re.findall(rf"{firm.url}/files/[a-z0-9-]+", plain(asked)))
    page = _fetch(link).decode()
    [where] = re.findall(r'<form method="post" action="([^"]+)"', page)
    fetched = _fetch(f"{firm.url}{where}", method="POST")
    by_looking = _status(f"{firm.url}{where}")
    by_guessing = _status(link[:-4] + ("aaaa" if not link.endswith("aaaa") else "bbbb"))

    assert len(asked.as_bytes()) < 1_000_000
    assert "帳冊 2026.zip" in page
    assert hashlib.sha256(fetched).digest() == hashlib.sha256(content).digest()
    assert (by_looking, by_guessing) == (404, 404)
    assert [line["octets"] for line in daemon.said("file_fetched")] == [len(content)]
    assert all("/files/" not in plain(mail) for mail in firm.box(customer).mails())


def _with_file(sender: str, desk: str, name: str, content: bytes) -> bytes:
    encoded = base64.encodebytes(content).replace(b"\n", b"\r\n")
    word = f"=?utf-8?B?{base64.b64encode(name.encode()).decode()}?="
    head = (
        f"From: {sender}\r\nTo: {desk}\r\nSubject: large file\r\nMessage-ID: <large@customer.example>\r\n"
        "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n\r\nhere it is\r\n--b\r\n"
        f'Content-Type: application/zip; name="{word}"\r\nContent-Transfer-Encoding: base64\r\n'
        f'Content-Disposition: attachment; filename="{word}"\r\n\r\n'
    )
    return head.encode() + encoded + b"--b--\r\n"


def _fetch(url: str, method: str = "GET") -> bytes:
    with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=30) as answer:
        return bytes(answer.read())


def _status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code


# ---- a sealed store


def test_a_sealed_store_runs_the_circle_and_holds_no_word_of_the_customers(both: Any, tmp_path: Path) -> None:
    customer, secret = next(_names), "統編二四六八的漏報發票在抽屜裡"
    firm = sealed_firm(tmp_path / "sealed", both, "sealed")
    with Daemon(firm.config, drain=20.0) as daemon:
        asked = ask(firm, customer, "sealed", words=f"您好\n{secret}\n謝謝")
        answered(firm, asked, "第一封答覆。", customer)
        settle(firm, daemon)
        daemon.stop()
        files = {path.name: path.read_bytes() for path in firm.folder.glob("intake.db*")}
        assert [(n, how) for n, octets in files.items() for how, form in _forms(secret) if form in octets] == []
        daemon.start()
        answer = answered(firm, asked, "重新啟動後的答覆。", customer)
        raw = REPLIES["gmail"](answer, MEI, customer, "收到，謝謝。")
        firm.send(customer, firm.desk, raw)
        update = firm.box(firm.chen).wait_for(lambda m: "收到，謝謝。" in plain(m))
        settle(firm, daemon)
        daemon.stop()
        (firm.folder / "store.key").write_text("t" * 43 + "\n")
        with Daemon(firm.config).start(waits=False) as other:
            code = other.wait_end()

    assert secret in plain(asked)
    assert secret in plain(update)  # the history, opened again after the restart
    assert code == 2
    assert "sealed with the store key" in other.said("not_started")[0]["reason"]


def _forms(words: str) -> list[tuple[str, bytes]]:
    """The words as they may lie on a disk; a part of them where they are encoded, since lines are broken."""
    utf8 = words.encode()
    found = [
        ("utf-8", utf8[:12]),
        ("utf-16", words.encode("utf-16-le")[:12]),
        ("json", json.dumps(words)[1:25].encode()),
    ]
    found.append(("quoted-printable", quopri.encodestring(utf8)[:24]))
    for shift in range(3):  # within base64, wherever they begin
        found.append((f"base64 {shift}", base64.b64encode(utf8[shift : shift + 15])))
    return found


# ---- ids that a relay puts in place of ours

RELAYS = {
    "email-smtp.us-east-1.amazonaws.com": (
        "250 Ok 0100019ab4c0{0:04x}-8c9ae21b-1c6f-4d9a-9f3e-6a1f3b0c{0:04x}-000000",
        r"<0100019ab4c0[0-9a-f]{4}-[0-9a-f-]+-000000@email\.amazonses\.com>",
    ),
    "smtp.office365.com": (
        "250 2.0.0 OK <SEYPR02MB{0:04d}@SEYPR02MB1.apcprd02.prod.outlook.com> [Hostname=SEYPR02MB1.apcprd02]",
        r"<SEYPR02MB[0-9]{4}@SEYPR02MB1\.apcprd02\.prod\.outlook\.com>",
    ),
}
#: The daemon asks the resolver for the relay by its real name, and finds it here.
RESOLVER = """
import socket
real = socket.getaddrinfo
def getaddrinfo(host, *rest, **named):
    return real("127.0.0.1" if host in ("{host}", b"{host}") else host, *rest, **named)
socket.getaddrinfo = getaddrinfo
"""


@asynccontextmanager
async def desk_behind(
    host: str, both: Any, folder: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Firm, Daemon, ScriptedSmtp]]:
    """A desk whose relay has this name, and answers as relays of this name do."""
    (folder / "resolver").mkdir()
    (folder / "resolver" / "sitecustomize.py").write_text(RESOLVER.format(host=host))
    monkeypatch.setenv("PYTHONPATH", str(folder / "resolver"))
    words = RELAYS.get(host, ("250 2.0.0 queued as {0}", ""))[0]
    async with ScriptedSmtp({".": [words.format(n) for n in range(100)]}) as relay:
        firm = Firm(folder, *both, suffix=suffix, smtp_port=relay.port, smtp_host=host)
        daemon = Daemon(firm.config, drain=20.0)
        await asyncio.to_thread(daemon.start)
        try:
            yield firm, daemon, relay
            await asyncio.to_thread(daemon.stop)
        except BaseException:
            print(daemon.story())
            raise
        finally:
            await asyncio.to_thread(daemon.kill)


@pytest.mark.parametrize(("number", "host"), [*enumerate([*RELAYS, "relay.elsewhere.example"])])
async def test_an_answer_to_the_id_that_a_relay_put_for_ours_joins_its_ticket(
    both: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, host: str
) -> None:
    """With another subject, and no other trace; where the relay does not say its ids, it is a new matter."""
    customer = next(_names)
    async with desk_behind(host, both, tmp_path, f"ids{number}", monkeypatch) as (firm, daemon, relay):
        raw = CUSTOMERS["gmail"](customer, MEI, firm.desk, "發票", "請問？")
        await asyncio.to_thread(firm.send, customer, firm.desk, raw)
        row = await _sent(daemon, "acknowledgement")
        theirs = row["remote_mail_id"] or "<0100019ab4c0-somewhere@email.amazonses.com>"
        again = CUSTOMERS["gmail"](customer, MEI, firm.desk, "完全不同的標題", "還有一件事。")
        await asyncio.to_thread(firm.send, customer, firm.desk, with_headers(again, f"In-Reply-To: {theirs}"))
        await asyncio.to_thread(wait_until, lambda: len(_outcomes(daemon)) == 2, f"decided\n{daemon.story()}")
        await asyncio.to_thread(daemon.settle)
        outcomes = _outcomes(daemon)

    is_said = host in RELAYS
    assert outcomes == [(1001, "opened"), (1001, "added")] if is_said else outcomes[1] == (1002, "opened")
    assert bool(row["remote_mail_id"]) == is_said
    assert re.fullmatch(RELAYS[host][1] if is_said else ".*", theirs)
    assert all(theirs.encode() not in mail.octets for mail in relay.mails[:2])  # what we wrote is ours


async def _sent(daemon: Daemon, purpose: str) -> dict[str, Any]:
    """The row of the first letter of that purpose, once it is delivered."""
    wanted = "SELECT mail_id, remote_mail_id FROM outbox WHERE purpose = ? AND state = 'delivered'"
    found = await asyncio.to_thread(wait_until, lambda: daemon.rows(wanted, purpose), f"{purpose}\n{daemon.story()}")
    return found[0]


def _outcomes(daemon: Daemon) -> list[tuple[int, str]]:
    rows = daemon.rows("SELECT ticket, outcome FROM message WHERE state = 'done' ORDER BY id")
    return [(row["ticket"], row["outcome"]) for row in rows]
