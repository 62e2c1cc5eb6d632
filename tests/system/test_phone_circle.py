"""The telephone circle, end to end: whatever the order in which an exchange posts its events, one state comes of it."""

from __future__ import annotations

import itertools
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from support.daemon import Daemon, wait_until
from support.firm import SECRET, Firm, plain, servers

pytestmark = pytest.mark.system

DESK_NUMBER = "02 2345 0000"
_callers = (f"0912 345 {n:03}" for n in itertools.count())
_calls = (f"call-{n}" for n in itertools.count())

NEW = {"event": "newCall"}
QUEUE = {"event": "answer", "user": "queue"}
ANSWER = {"event": "answer", "user": "201"}
HANGUP = {"event": "hangup", "cause": "normalClearing"}
AFTER = {"newCall": 0, "queue": 0.5, "answer": 1, "hangup": 2}  # seconds since the call began


@pytest.fixture(scope="module")
def firm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firm]:
    with servers() as pair:
        yield Firm(tmp_path_factory.mktemp("firm"), *pair)


@pytest.fixture(scope="module")
def daemon(firm: Firm) -> Iterator[Daemon]:
    with Daemon(firm.config, drain=20.0) as running:
        yield running
        print(running.story())
    assert running.noise == []  # no traceback, no warning


def post(firm: Firm, event: dict[str, Any], *, secret: str = SECRET, is_form: bool = False) -> int:
    """One event as an exchange posts it: the status of the answer."""
    body = urllib.parse.urlencode(event) if is_form else json.dumps(event)
    kind = "application/x-www-form-urlencoded" if is_form else "application/json"
    request = urllib.request.Request(
        f"{firm.url}/phone/{secret}", body.encode(), {"Content-Type": kind}, method="POST"
    )  # fmt: skip
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code


def call(caller: str, *events: dict[str, Any], direction: str = "in", began: datetime | None = None) -> list[Any]:
    """The events of one call, dated where `began` is given."""
    call_id = next(_calls)
    numbers = {"from": caller, "to": DESK_NUMBER} if direction == "in" else {"from": DESK_NUMBER, "to": caller}
    made = []
    for event in events:
        name = "queue" if event.get("user") == "queue" else event["event"]
        when = {"timestamp": (began + timedelta(seconds=AFTER[name])).isoformat()} if began else {}
        made.append({"callId": call_id, "direction": direction, **numbers, **event, **when})
    return made


def number(caller: str) -> str:
    """E.164, as the store keeps it."""
    return "tel:+886" + caller.replace(" ", "")[1:]


def ticket_of(daemon: Daemon, caller: str) -> dict[str, Any]:
    [row] = daemon.rows("SELECT id, state, agent, medium FROM ticket WHERE contact = ?", number(caller))
    return row


def targets_of(daemon: Daemon, ticket: int) -> list[dict[str, Any]]:
    return daemon.rows("SELECT * FROM target WHERE ticket = ? ORDER BY kind, ordinal", ticket)


def moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def test_an_answer_within_three_rings_keeps_the_promise_and_the_ticket_is_the_agents(
    firm: Firm, daemon: Daemon
) -> None:
    caller = next(_callers)
    statuses = [
        post(firm, event, is_form=True) for event in call(caller, NEW, {"event": "answer", "user[]": "202"}, HANGUP)
    ]
    stamp = daemon.wait_for("first_response_recorded", agent="lin")
    daemon.settle()

    ticket = ticket_of(daemon, caller)
    [target] = targets_of(daemon, ticket["id"])
    assert statuses == [200, 200, 200]
    assert (ticket["state"], ticket["agent"], ticket["medium"]) == ("answered", "lin", "phone")
    assert (target["kind"], target["breached_at"]) == ("first_response", None)
    assert target["met_at"] <= target["due_at"]
    assert stamp["ticket"] == ticket["id"]
    assert 0 < stamp["margin_s"] <= 9


def test_a_missed_call_is_owed_a_callback_and_an_answered_one_of_ours_meets_it(firm: Firm, daemon: Daemon) -> None:
    caller = next(_callers)
    for event in call(caller, NEW, QUEUE, {"event": "hangup", "cause": "originatorCancel"}):
        assert post(firm, event) == 200
    ticket = daemon.wait_for("call_missed")["ticket"]
    mail = firm.box(firm.chen).wait_for(lambda m: f"#{ticket}" in m["Subject"])
    before = {target["kind"]: target for target in targets_of(daemon, ticket)}
    # Nobody answers our first attempt; the second reaches him.
    for event in call(caller, NEW, {"event": "hangup", "cause": "noAnswer"}, direction="out"):
        assert post(firm, event) == 200
    daemon.wait_for("call_event_recorded", inbound=False, call_event="hangup")
    still = {target["kind"]: target["met_at"] for target in targets_of(daemon, ticket)}
    for event in call(caller, NEW, ANSWER, HANGUP, direction="out"):
        assert post(firm, event) == 200
    stamp = daemon.wait_for("target_met", ticket=ticket, target="callback")
    daemon.settle()

    after = {target["kind"]: target for target in targets_of(daemon, ticket)}
    assert ticket_of(daemon, caller)["state"] == "answered"
    assert "+886912345" in plain(mail).replace(" ", "")
    assert moment(before["callback"]["due_at"]) - moment(before["callback"]["started_at"]) == timedelta(minutes=30)
    assert before["first_response"]["withdrawn_at"] is not None
    assert still["callback"] is None
    assert after["callback"]["met_at"] is not None
    assert stamp["margin_s"] > 29 * 60


def orders(events: Sequence[dict[str, Any]]) -> list[Sequence[dict[str, Any]]]:
    """Every order; and each once more with everything repeated."""
    ways = list(itertools.permutations(events))
    return [*ways, *([*way, *way] for way in ways), *([one for event in way for one in (event, event)] for way in ways)]


def outcome(daemon: Daemon, caller: str, began: datetime) -> Any:
    """What a call has come to: its ticket, and the promises that stand or were kept."""
    ticket = ticket_of(daemon, caller)

    def after(text: str | None) -> float | None:
        return None if text is None else round((moment(text) - began).total_seconds(), 3)

    standing = [
        (t["kind"], after(t["started_at"]), after(t["due_at"]), after(t["met_at"]), t["breached_at"])
        for t in targets_of(daemon, ticket["id"])
        if t["withdrawn_at"] is None
    ]
    return ticket["state"], ticket["agent"], sorted(standing)


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ((NEW, ANSWER, HANGUP), ("answered", "chen", [("first_response", 0, 9, 1, None)])),
        ((NEW, QUEUE, ANSWER, HANGUP), ("answered", "chen", [("first_response", 0, 9, 1, None)])),
        ((NEW, QUEUE, HANGUP), ("open", "chen", [("callback", 2, 1802, None, None)])),
        ((NEW, HANGUP), ("open", "chen", [("callback", 2, 1802, None, None)])),
    ],
    ids=["answered", "answered-after-queue", "queue-only", "missed"],
)
def test_events_in_every_order_and_repeated_come_to_the_same(
    firm: Firm, daemon: Daemon, events: tuple[dict[str, Any], ...], expected: Any
) -> None:
    ways = []
    for way in orders(events):
        caller, began = next(_callers), datetime.now(UTC) - timedelta(seconds=2.2)
        for event in call(caller, *way, began=began):
            assert post(firm, event) == 200
        ways.append((way, caller, began))
    daemon.settle()

    found = {tuple(e["event"] + e.get("user", "") for e in w): outcome(daemon, c, b) for w, c, b in ways}
    assert {way: what for way, what in found.items() if what != expected} == {}


def test_events_over_many_connections_at_once(firm: Firm, daemon: Daemon) -> None:
    began = datetime.now(UTC) - timedelta(seconds=2.2)
    callers = [next(_callers) for _ in range(30)]
    events = [event for caller in callers for event in call(caller, NEW, ANSWER, HANGUP, began=began)]
    with ThreadPoolExecutor(12) as exchange:
        statuses = list(exchange.map(lambda event: post(firm, event), events))
    daemon.settle()

    assert set(statuses) == {200}
    expected = ("answered", "chen", [("first_response", 0, 9, 1, None)])
    assert {c: outcome(daemon, c, began) for c in callers} == dict.fromkeys(callers, expected)


def test_who_calls_again_finds_his_open_ticket(firm: Firm, daemon: Daemon) -> None:
    caller = next(_callers)
    for _ in range(2):
        for event in call(caller, NEW, HANGUP):
            assert post(firm, event) == 200
    daemon.settle()

    ticket = ticket_of(daemon, caller)
    callbacks = [t for t in targets_of(daemon, ticket["id"]) if t["kind"] == "callback"]
    assert len(callbacks) == 1  # the first promise stands
    assert callbacks[0]["met_at"] is None


def test_a_wrong_secret_is_a_path_that_nobody_serves(firm: Firm, daemon: Daemon) -> None:
    caller = next(_callers)
    before = daemon.rows("SELECT count(*) AS n FROM message")
    wrong = SECRET[:-1] + "x"
    [event] = call(caller, NEW)
    statuses = [post(firm, event, secret=secret) for secret in (wrong, "", SECRET.lower(), SECRET + "x")]
    well_formed = post(firm, {"event": "newCall"})  # but without a call
    assert post(firm, *call(next(_callers), NEW)) == 200  # the others are served
    daemon.settle()
    wait_until(lambda: daemon.said("call_event_recorded"), "it was recorded")

    assert statuses == [404, 404, 404, 404]
    assert well_formed == 400
    assert daemon.rows("SELECT count(*) AS n FROM message")[0]["n"] == before[0]["n"] + 1
    assert daemon.rows("SELECT id FROM ticket WHERE contact = ?", number(caller)) == []
    said = json.dumps(daemon.lines) + "\n".join(daemon.noise)
    assert SECRET not in said
    assert wrong not in said
