"""`intake enrol`, and what `check` says of it: no evidence is a red line, and what is missing is said with its mend."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.clidesk import NOW, Desk, stand_still
from support.ports import free_ports

from channels.mime import parse
from intake.command import enrol
from intake.command.terminal import MAX_COLUMNS, width
from routing.identity import claims_internal
from routing.probing import make_nonce, nonce_in
from routing.records import Enrolment, Probe
from routing.tokens import Keyring
from routing.words import OutboxState, Purpose
from store import enrolments, events, outbox
from store.engine import Database

KEY = "k" * 43
DAY = timedelta(days=1)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    stand_still(monkeypatch)
    made = Desk(tmp_path)
    made.make()
    return made


def seen(evidence: str, agent: str = "chen", *, address: str = "", at: datetime = NOW, **changes: Any) -> Enrolment:
    facts: dict[str, Any] = {
        "agent": agent,
        "address": f"mailto:{address or f'{agent}@firm.example'}",
        "channel": "support-mail",
        "evidence": evidence,
        "client": "Microsoft Outlook 16.0",
        "first_seen_at": at,
        "last_seen_at": at,
    }
    return Enrolment(**(facts | changes))


def remember(desk: Desk, *rows: Enrolment, probe: Probe | None = None) -> None:
    async def work(db: Database) -> None:
        async with db.transaction() as tx:
            await enrolments.put(tx, rows)
            if probe is not None:
                await enrolments.ask(tx, probe)
                await enrolments.answer(tx, [probe])

    desk.within(work)


def believe(desk: Desk, *kinds: str) -> None:
    """Configure other evidence for chen."""
    text = desk.path.read_text()
    written = ", ".join(f'"{kind}"' for kind in kinds)
    desk.path.write_text(text.replace('topics = ["tax', f'evidence = [{written}]\ntopics = ["tax', 1))


def of_chen(desk: Desk) -> list[tuple[str, str, str]]:
    """(state, problem, mend) of what `check` says of him and of probes."""
    _, out, _ = desk.says("check")
    lines = [json.loads(line) for line in out.splitlines()]
    about = [t for t in lines if t["subject"] == "agents" and t["found"].startswith(("chen", "support-mail"))]
    return [(t["state"], t["problem"], t["mend"]) for t in about]


PASSED = Probe(
    channel="support-mail", kind="exchange-internal", nonce="n", sent_at=NOW - DAY, seen_at=NOW - DAY, result="stripped"
)


@pytest.mark.parametrize(
    ("kinds", "rows", "state", "problem", "mend"),
    [
        (["authserv"], [], "bad", "no evidence yet", "intake enrol chen"),
        (["authserv"], [seen("authserv")], "ok", "", ""),
        (["authserv"], [seen("authserv"), seen("none")], "ok", "", ""),
        (
            ["authserv"],
            [seen("dkim-aligned")],
            "bad",
            "his mails carry dkim-aligned, configured is authserv: his replies are held",
            'if that is proof enough: agents.chen.evidence = ["dkim-aligned"]; else: intake check --probe-mail',
        ),
        (
            ["authserv"],
            [seen("none")],
            "bad",
            "his mails carry no evidence, configured is authserv: his replies are held",
            "does he send through the firm's server? What that adds to mail: intake check --probe-mail",
        ),
        # What another has shown, or another address, is nothing of his.
        (["authserv"], [seen("authserv", "lin")], "bad", "no evidence yet", "intake enrol chen"),
        (
            ["token-only"],
            [],
            "warning",
            "token-only: whoever gets hold of a reply address can answer in his name",
            "let the mail server prove who writes, where it can",
        ),
        (
            ["token-only", "authserv"],
            [seen("authserv")],
            "warning",
            "token-only: whoever gets hold of a reply address can answer in his name",
            'his mails carry more: evidence = ["authserv"]',
        ),
    ],
)
def test_check_has_a_line_for_each_agent(
    desk: Desk, kinds: list[str], rows: list[Enrolment], state: str, problem: str, mend: str
) -> None:
    believe(desk, *kinds)
    remember(desk, *rows)

    assert of_chen(desk) == [(state, problem, mend)]


def test_g8_no_evidence_ends_check_with_a_fault(desk: Desk) -> None:
    code, out, _ = desk.says("check", "--text")

    assert code == 1
    assert "✗  no evidence yet" in out
    assert "-> intake enrol chen" in out
    assert max(map(width, out.splitlines())) <= MAX_COLUMNS


def test_another_address_is_said_with_what_to_do(desk: Desk) -> None:
    remember(desk, seen("authserv"), seen("authserv", address="chen1990@mail.example"))

    own, other = of_chen(desk)

    assert own[0] == "ok"
    assert other[:2] == ("warning", "his welcome was answered from chen1990@mail.example, which is not his")
    assert "agents.chen.addresses" in other[2]


@pytest.mark.parametrize(
    ("probe", "states", "problem"),
    [
        (None, ["bad", "bad"], "no probe was sent"),
        (PASSED, ["ok", "ok"], ""),
    ],
)
def test_exchange_internal_wants_a_probe(desk: Desk, probe: Probe | None, states: list[str], problem: str) -> None:
    believe(desk, "exchange-internal")
    remember(desk, seen("exchange-internal"), probe=probe)

    said = of_chen(desk)

    assert [state for state, _, _ in said] == states
    assert said[1][1] == problem


@pytest.mark.parametrize(
    ("seen_at", "sent_at", "result", "problem"),
    [
        (NOW - DAY, NOW - DAY, "kept", "the header is kept in mail from outside"),
        (None, NOW - DAY, None, "the probe never came in"),
        (NOW - 91 * DAY, NOW - 91 * DAY, "stripped", "the probe is older than 90 days"),
        (None, NOW - timedelta(minutes=1), None, "the probe has not come in yet"),
    ],
)
def test_g8_a_probe_that_shows_nothing_good_leaves_a_red_line(
    desk: Desk, seen_at: datetime | None, sent_at: datetime, result: str | None, problem: str
) -> None:
    believe(desk, "exchange-internal")
    probe = Probe(
        channel="support-mail", kind="exchange-internal", nonce="n", sent_at=sent_at, seen_at=seen_at, result=result
    )
    remember(desk, seen("exchange-internal"), probe=probe)

    [his, of_probe] = of_chen(desk)

    assert his[0] == "bad"
    assert his[1].startswith("his mails carry exchange-internal, and no probe shows")
    assert of_probe[0] == "bad"
    assert of_probe[1].startswith(problem)
    assert "intake enrol --probe support-mail --through HOST" in of_probe[2]


# ---- the welcome


def test_a_welcome_waits_in_the_outbox_and_the_log_says_who_asked(desk: Desk) -> None:
    code, out, err = desk.says("enrol", "chen", "--text")

    assert (code, err) == (0, "")
    assert "A welcome goes to chen@firm.example by support-mail. It leaves when the daemon runs." in out

    async def look(db: Database) -> tuple[list[Any], list[Any]]:
        async with db.reading() as tx:
            letters = await outbox.to_address(tx, "mailto:chen@firm.example", [Purpose.TOLD])
            return letters, await events.after(tx, 0, 100)

    [item], told = desk.within(look)
    assert (item.state, item.recipe["result"]) == (OutboxState.PENDING, "welcome")
    assert [(e.kind, e.agent, e.data["channel"]) for e in told] == [("enrolment_asked", "chen", "support-mail")]
    assert of_chen(desk)[0][1] == "no evidence yet: his welcome of today 14:10 is not answered"


def test_two_welcomes_have_two_tokens(desk: Desk) -> None:
    desk.says("enrol", "chen")
    desk.says("enrol", "chen", "--channel", "support-mail")

    async def look(db: Database) -> list[Any]:
        async with db.reading() as tx:
            return await outbox.to_address(tx, "mailto:chen@firm.example", [Purpose.TOLD])

    assert len({item.recipe["token"] for item in desk.within(look)}) == 2


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["enrol", "eve"], 3, 'there is no agent "eve"'),
        (["enrol", "chen", "--channel", "hotline"], 3, 'there is no mail channel "hotline"'),
        (["enrol", "--probe", "support-mail"], 2, "a probe needs the host"),
        (["enrol", "--through", "mx.firm.example"], 2, "say whom, or which channel"),
        (["enrol", "--probe", "hotline", "--through", "mx"], 3, 'there is no mail channel "hotline"'),
        (["enrol", "--probe", "support-mail", "--through", "mx", "--from", "no address"], 2, "is no mail address"),
    ],
)
def test_what_cannot_be_done_is_said(desk: Desk, words: list[str], code: int, said: str) -> None:
    ended, _, err = desk.says(*words)

    assert ended == code
    assert said in err


# ---- the list


def test_the_list_names_everybody_and_what_is_missing(desk: Desk) -> None:
    remember(
        desk,
        seen("authserv", client="Microsoft Outlook 16.0; iPhone Mail (21A329)"),
        seen("authserv", address="chen1990@mail.example", client="unnamed"),
        seen("authserv", "gone"),
    )

    chen, lin = desk.lines("enrol")
    code, out, _ = desk.says("enrol", "--text")

    assert (chen["stage"], chen["counts"], chen["missing"]) == ("proven", ["authserv"], [])
    assert [(s["address"], s["own"]) for s in chen["seen"]] == [
        ("chen@firm.example", True),
        ("chen1990@mail.example", False),
    ]
    assert (lin["stage"], lin["seen"], lin["todo"]) == ("unseen", [], ["intake enrol lin"])
    assert code == 0
    assert "gone" not in out
    assert "chen1990@mail.example (not his)" in out
    assert "✗ lin: no evidence yet" in out
    assert max(map(width, out.splitlines())) <= MAX_COLUMNS


def test_what_is_missing_is_counted_by_devices(desk: Desk) -> None:
    def missing(client: str) -> list[str]:
        remember(desk, seen("authserv", client=client))
        found: list[str] = desk.lines("enrol")[0]["missing"]
        return found

    assert missing("Microsoft Outlook 16.0") == ["phone"]
    assert missing("iPhone Mail (21A329)") == ["desktop"]
    assert missing("unnamed") == ["desktop", "phone"]
    assert missing("Microsoft Outlook 16.0; unnamed") == []


# ---- the probe's mail


def test_the_probe_is_what_an_outsider_would_write() -> None:
    ring = Keyring.from_secret(KEY)
    nonce = make_nonce(ring, b"0123456789")
    raw = enrol.probe_mail("probe@outside.example", "support@firm.example", nonce, f"<{nonce}@outside.example>", NOW)
    message = parse(raw)

    assert claims_internal(message)
    assert nonce_in(message, ring.secrets) == nonce
    assert message.sender.value == "probe@outside.example"
    assert message.auto_submitted != ""


def test_a_host_that_is_not_there_is_no_answer(desk: Desk) -> None:
    [port] = free_ports(1)

    code, out, _ = desk.says("enrol", "--probe", "support-mail", "--through", f"127.0.0.1:{port}", "--json")

    said = json.loads(out)
    assert code == 1
    assert said["result"] is None
    assert said["refused"]
    believe(desk, "exchange-internal")
    assert of_chen(desk)[-1][1] == "the probe has not come in yet"
