"""`intake check`: what is wrong is said with what to do about it; what is right is really tried."""

from __future__ import annotations

import io
import json
import sqlite3
from argparse import Namespace
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from support.clidesk import NOW, Desk, StandingClock, mail, stand_still
from support.ports import free_ports

from channels.adapter import CheckState
from intake.command import check, mail_probe
from intake.command.terminal import MAX_COLUMNS, Screen, width
from intake.demo.mailserver import DemoMailServer
from routing.words import OutboxState
from store import outbox
from store.engine import Database
from store.upgrade import upgrade

USERS = {"support@firm.example": "secret"}
BAD, WARNING, OK = CheckState.BAD, CheckState.WARNING, CheckState.OK


@pytest.fixture
async def server() -> AsyncIterator[DemoMailServer]:
    running = DemoMailServer(USERS, 0, 0, now=lambda: NOW)
    await running.start()
    yield running
    await running.stop()


def desk_on(server: DemoMailServer, folder: Path, **changes: Any) -> Desk:
    return Desk(folder, imap=server.imap_port, smtp=server.smtp_port, **changes)


async def checked(desk: Desk, *, probe: bool = False, form: str = "json") -> tuple[int, str]:
    out = io.StringIO()
    args = Namespace(config=str(desk.path), probe_mail=probe)
    code = await check.run(args, Screen(out, is_json=form == "json"), StandingClock())
    return code, out.getvalue()


async def lines(desk: Desk, *, probe: bool = False) -> list[dict[str, Any]]:
    _, out = await checked(desk, probe=probe)
    return [json.loads(line) for line in out.splitlines()]


def faults(told: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    return [(one["subject"], one["state"], one["problem"]) for one in told if one["state"] != OK]


def put(desk: Desk, before: str, after: str) -> None:
    text = desk.path.read_text()
    assert before in text
    desk.path.write_text(text.replace(before, after, 1))


async def test_all_is_well(server: DemoMailServer, tmp_path: Path) -> None:
    code, out = await checked(desk_on(server, tmp_path), form="text")

    assert (code, "✗" in out, "!" in out) == (0, False, False)
    assert [line.split()[0] for line in out.splitlines() if line[0] != " "] == [
        *("config", "store", "key", "mail", "phone", "agents", "calendar", "http")
    ]
    assert max(map(width, out.splitlines())) <= MAX_COLUMNS


async def test_nothing_is_made_by_looking(server: DemoMailServer, tmp_path: Path) -> None:
    desk = desk_on(server, tmp_path)

    told = await lines(desk)

    assert not (tmp_path / "var").exists()
    assert next(t["found"] for t in told if t["subject"] == "store").endswith("made at the first start")


async def test_a_wrong_file_is_told_whole(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    put(desk, 'region = "TW"', 'region = "Taiwan"\nnonsense = 1')

    code, out = await checked(desk)

    told = [json.loads(line) for line in out.splitlines()]
    assert code == 2
    assert [t["found"] for t in told[1:]] == ["desk.region", "desk.nonsense"] or len(told) == 3
    assert all(t["state"] == BAD for t in told[1:])


async def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    imap, smtp = free_ports(2)
    code, out = await checked(Desk(tmp_path, imap=imap, smtp=smtp))

    told = faults([json.loads(line) for line in out.splitlines()])
    assert code == 1
    assert [(subject, state) for subject, state, _ in told] == [("mail", BAD), ("mail", BAD)]


async def test_secrets_that_are_weak_open_or_missing(server: DemoMailServer, tmp_path: Path) -> None:
    desk = desk_on(server, tmp_path)
    (tmp_path / "secrets" / "hotline.secret").write_text("12345678901\n")
    (tmp_path / "secrets" / "token.key").chmod(0o644)

    told = await lines(desk)

    assert ("key", WARNING, "every user of this machine can read it") in faults(told)
    [phone] = [t for t in told if t["subject"] == "phone"]
    assert (phone["state"], phone["mend"]) == (BAD, "intake secret new hotline (≥ 128 bit)")

    (tmp_path / "secrets" / "token.key").unlink()
    missing = [t for t in await lines(desk) if t["subject"] == "secrets"]
    assert [(t["found"], t["state"]) for t in missing] == [("tokens.key", BAD)]


async def test_the_store_counts_its_tickets(server: DemoMailServer, tmp_path: Path) -> None:
    desk = desk_on(server, tmp_path)
    db = Database(desk.config.store.full_url())
    await upgrade(db)
    await db.close()

    [store] = [t for t in await lines(desk) if t["subject"] == "store"]
    assert f"0 tickets, sqlite {sqlite3.sqlite_version}" in store["found"]

    with closing(sqlite3.connect(desk.store)) as there:
        there.execute("UPDATE alembic_version SET version_num = '9999'")
        there.commit()
    [newer] = [t for t in await lines(desk) if t["subject"] == "store"]
    assert newer["state"] == BAD
    assert "a newer intake wrote it" in newer["problem"]


async def test_a_full_disk_is_said(server: DemoMailServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = desk_on(server, tmp_path)
    db = Database(desk.config.store.full_url())
    await upgrade(db)
    await db.close()
    monkeypatch.setattr("shutil.disk_usage", lambda _: Namespace(total=10**12, used=0, free=5 * 2**20))

    told = faults(await lines(desk))

    assert ("store", BAD, "5 MiB free, 1,024 MiB wanted: nothing is taken in") in told


def test_an_agent_whose_mail_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_still(monkeypatch)
    desk = Desk(tmp_path)
    desk.take(mail("mei@customer.example", "營業稅申報"), NOW)

    async def bounce(db: Database) -> None:
        async with db.transaction() as tx:
            [item] = await outbox.to_address(tx, "mailto:chen@firm.example", check.desk.TO_AGENTS)
            await outbox.record_delivered(tx, {item.id: "ok"}, NOW)
            await outbox.record_bounce(tx, item.id, "5.1.1 no such user")
            assert (await outbox.by_id(tx, item.id) or item).state is OutboxState.FAILED

    desk.within(bounce)
    code, out, _ = desk.says("check")

    agents = [t for t in map(json.loads, out.splitlines()) if t["subject"] == "agents"]
    assert code == 1
    assert [(t["found"], t["problem"]) for t in agents] == [
        ("1 of 2 reachable", ""),
        ("chen chen@firm.example", "mail comes back since today 14:10"),
        ("chen", "no evidence yet"),
        ("lin", "no evidence yet"),
    ]


@pytest.mark.parametrize(
    ("before", "after", "state", "problem"),
    [
        ('authserv_id = "mail.firm.example"', "", BAD, "no mail channel names the server"),
        (
            'display_name = "林志豪"',
            'display_name = "林志豪"\nevidence = ["token-only"]',
            WARNING,
            "token-only: whoever gets hold of a reply address",
        ),
        ('supervisors = ["lin"]', "", WARNING, "nobody hears of its breaches"),
    ],
)
async def test_agents_who_cannot_be_believed_or_are_not_watched(
    server: DemoMailServer, tmp_path: Path, before: str, after: str, state: str, problem: str
) -> None:
    desk = desk_on(server, tmp_path)
    put(desk, before, after)

    [(subject, found, said)] = faults(await lines(desk))

    assert (subject, found) == ("agents", state)
    assert problem in said


async def test_a_chinese_year_without_make_up_days_is_provisional(server: DemoMailServer, tmp_path: Path) -> None:
    desk = desk_on(server, tmp_path)
    put(desk, 'region = "TW"', 'region = "CN"')

    told = [f for f in faults(await lines(desk)) if f[0] == "calendar"]

    assert told == [("calendar", WARNING, "CN 2027 is provisional (no make-up days yet)")]


async def test_a_port_that_somebody_else_has(server: DemoMailServer, tmp_path: Path) -> None:
    told = faults(await lines(desk_on(server, tmp_path, port=server.imap_port)))

    assert [(subject, state) for subject, state, _ in told] == [("http", BAD)]


# ---- the probe


async def test_the_probe_shows_which_ways_work_and_who_vouches(server: DemoMailServer, tmp_path: Path) -> None:
    told = [t for t in await lines(desk_on(server, tmp_path), probe=True) if t["found"].startswith("probe")]

    assert [t["state"] for t in told] == [OK, OK]
    assert told[0]["found"] == "probe: plus, references came back"
    assert told[1]["found"].startswith("probe: Authentication-Results by mail.firm.example on top (")


async def test_a_server_without_plus_addresses(
    server: DemoMailServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = server.user_of
    monkeypatch.setattr(server, "user_of", lambda address: None if "+" in address else known(address))
    desk = desk_on(server, tmp_path)

    [first, *_] = [t for t in await lines(desk, probe=True) if t["found"].startswith("probe")]

    assert (first["state"], first["found"], first["mend"]) == (
        *(BAD, "probe: references came back"),
        'set token_in = "references"',
    )
    assert first["problem"].startswith("plus was refused: RCPT TO: 550")


async def test_mail_that_does_not_come_back(
    server: DemoMailServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lost(*_: object) -> None:
        return None

    monkeypatch.setattr(server, "put", lost)
    monkeypatch.setattr(mail_probe, "WAIT", 0.1)

    [only] = [t for t in await lines(desk_on(server, tmp_path), probe=True) if t["found"].startswith("probe")]

    assert (only["state"], only["found"]) == (BAD, "probe: nothing came back")


async def test_nobody_trustworthy_vouches(server: DemoMailServer, tmp_path: Path) -> None:
    desk = desk_on(server, tmp_path)
    put(desk, 'authserv_id = "mail.firm.example"', 'authserv_id = "other.example"')

    *_, last = [t for t in await lines(desk, probe=True) if t["found"].startswith("probe")]

    assert (last["state"], last["mend"]) == (WARNING, 'it says "mail.firm.example": set authserv_id to that')


@pytest.mark.parametrize("border", ["", "mx.other.example"])
async def test_verdicts_below_a_line_of_the_store_are_said_with_their_host(
    server: DemoMailServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, border: str
) -> None:
    put_in = server.put

    async def store_adds_its_own_line(user: str, raw: bytes) -> None:
        await put_in(user, b"Received: from mail.firm.example by store.firm.example with LMTP\r\n" + raw)

    monkeypatch.setattr(server, "put", store_adds_its_own_line)
    desk = desk_on(server, tmp_path)
    put(desk, 'authserv_id = "mail.firm.example"', f'authserv_id = "mail.firm.example"\nborder_host = "{border}"')

    *_, last = [t for t in await lines(desk, probe=True) if t["found"].startswith("probe")]

    assert (last["state"], last["problem"]) == (
        WARNING,
        "the Authentication-Results by mail.firm.example stand below the Received line of store.firm.example: "
        "no verdict is believed",
    )
    assert last["mend"].startswith('set border_host = "mail.firm.example", the host whose')


# ---- where it cannot know


async def test_without_credentials_it_says_how_the_service_gets_them(
    server: DemoMailServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    desk = desk_on(server, tmp_path)
    for name in ("token.key", "mail.password", "hotline.secret"):
        put(desk, f'{{ file = "secrets/{name}" }}', f'{{ credential = "{name}" }}')

    told = [t for t in await lines(desk) if t["state"] == BAD]

    assert [t["subject"] for t in told] == ["secrets", "mail", "phone"]
    assert {t["mend"] for t in told} == {
        "run it as the service does: CREDENTIALS_DIRECTORY=/etc/intake/secrets intake check"
    }


CHAT = """
[channels.website]
type = "webchat"
origins = {origins}
"""


@pytest.mark.parametrize(
    ("url", "origins", "problem", "mend"),
    [
        ("", '["http://127.0.0.1:{port}"]', "", ""),
        ("https://desk.firm.example", '["https://desk.firm.example"]', "", ""),
        ("https://Desk.firm.example:443/intake", '["https://desk.firm.example"]', "", ""),
        (
            "https://desk.firm.example",
            '["https://www.firm.example"]',
            "https://desk.firm.example is not in origins: the panel opens its line from there, and is refused",
            'add "https://desk.firm.example" to channels.website.origins',
        ),
        (
            "",
            '["https://www.firm.example"]',
            "http://127.0.0.1:{port} is not in origins: the panel opens its line from there, and is refused",
            'add "http://127.0.0.1:{port}" to channels.website.origins, or set http.public_url to what visitors open',
        ),
    ],
)
async def test_the_desks_own_origin_is_wanted_beside_the_sites(
    server: DemoMailServer, tmp_path: Path, url: str, origins: str, problem: str, mend: str
) -> None:
    [port] = free_ports(1)
    desk = desk_on(server, tmp_path, port=port, more=CHAT.format(origins=origins.format(port=port)))
    put(desk, f"port = {port}", f'port = {port}\npublic_url = "{url}"')

    told = {t["found"]: t for t in await lines(desk) if t["subject"] == "http"}

    at = url or f"http://127.0.0.1:{port}"
    assert f"hotline: {at}/phone/SECRET" in told
    chat = told[f"website: {at}/chat/widget.js"]
    assert (chat["problem"], chat["mend"]) == (problem.format(port=port), mend.format(port=port))
    assert chat["state"] == (WARNING if problem else OK)


def test_the_probe_is_known_as_our_own_and_opens_nothing(tmp_path: Path) -> None:
    from channels import mime
    from routing.filters import is_own_mark
    from routing.tokens import tokens_in_recipients

    settings = Desk(tmp_path).config.channels["support-mail"]
    for probe in mail_probe.probes_for(settings):
        message = mime.parse(mail_probe.letter("support@firm.example", probe, b"k" * 32, NOW))

        assert is_own_mark([b"k" * 32], message.loop_marks[0])
        assert message.auto_submitted.startswith("auto-generated")
        assert bool(tokens_in_recipients(message)) is (probe.way == "plus")
