"""The telephone exchange's webhook: what is kept, what is refused, and what is never told."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import ClientSession, FormData, web
from hypothesis import given
from hypothesis import strategies as st

from channels.adapter import (
    Accepted,
    Adapter,
    Arrival,
    CheckState,
    Decided,
    Fatal,
    StoreUnavailable,
    Tools,
    TranscriptLine,
)
from channels.call_events import EventError, parse_body
from channels.http import Listener
from channels.message import Address, Call, CallEvent, Medium, Message, Recipient, Role, Scheme
from channels.settings import Secret, TelephonySettings
from channels.telephony import TelephonyReceiver, build, new_secret, read, secret_bits

SECRET = "abcdefghijklmnopqrstuvwxyz012345"
NOW = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
EVENT = {
    "event": "newCall",
    "direction": "in",
    "from": "0912345678",
    "to": "02-2345-6789",
    "callId": "c1",
    "user": ["201", "202"],
}


class StoppedClock:
    def now(self) -> datetime:
        return NOW

    async def sleep_until(self, when: datetime) -> None:
        raise AssertionError("nobody here waits for a time")


class Store:
    """An accept that keeps what it is given, and fails on demand."""

    def __init__(self) -> None:
        self.kept: dict[str, Arrival] = {}
        self.is_down = False
        self.decided: asyncio.Future[Decided] = asyncio.get_running_loop().create_future()

    async def __call__(self, arrivals: Sequence[Arrival]) -> list[Accepted]:
        if self.is_down:
            raise StoreUnavailable("disk full")
        receipts = []
        for arrival in arrivals:
            is_duplicate = arrival.external_id in self.kept
            self.kept.setdefault(arrival.external_id, arrival)
            number = list(self.kept).index(arrival.external_id) + 1
            receipts.append(Accepted(number, is_duplicate, self.decided))
        return receipts

    def messages(self) -> list[Message]:
        return [read(arrival.raw) for arrival in self.kept.values()]

    def only(self) -> tuple[Arrival, Call]:
        [arrival] = self.kept.values()
        call = read(arrival.raw).call
        assert call is not None
        return arrival, call


def make_tools() -> Tools:
    async def read_cursor(channel: str, name: str) -> str | None:
        raise AssertionError("a telephone has no cursor")

    async def transcript(session: str, after: str) -> list[TranscriptLine]:
        raise AssertionError("a telephone has no transcript")

    async def save_cursor(*arguments: object) -> None:
        raise AssertionError("a telephone has no cursor")

    return Tools(
        clock=StoppedClock(),
        progress=lambda note, within: None,
        read_cursor=read_cursor,
        save_cursor=save_cursor,
        transcript=transcript,
    )


def make_settings(folder: Path, secret: str = SECRET, **more: Any) -> TelephonySettings:
    path = folder / "hotline.secret"
    path.write_text(secret + "\n")
    path.chmod(0o600)
    return TelephonySettings.model_validate({"secret": {"file": path}, **more})


class Exchange:
    """A telephone exchange, calling a channel that may be running or not."""

    def __init__(self, adapter: Adapter, listener: Listener, client: ClientSession) -> None:
        self.adapter = adapter
        self.store = Store()
        self._listener = listener
        self._client = client
        self._running: asyncio.Task[None] | None = None

    async def run(self) -> None:
        assert self.adapter.receiver is not None
        self._running = asyncio.create_task(self.adapter.receiver.receive(self.store))
        await asyncio.sleep(0)

    async def stop(self) -> None:
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
            self._running = None

    async def post(self, data: Any = None, *, secret: str = SECRET, query: str = "", **options: Any) -> tuple[int, Any]:
        url = f"http://127.0.0.1:{self._listener.port}/phone/{secret}{query}"
        async with self._client.post(url, data=data, **options) as response:
            self.headers = response.headers
            return response.status, await response.json()

    async def send(self, **fields: Any) -> tuple[int, Any]:
        return await self.post(orjson.dumps(EVENT | fields))


Connect = Callable[..., Awaitable[Exchange]]


@pytest.fixture
async def connect(tmp_path: Path) -> AsyncIterator[Connect]:
    """An exchange connected to a channel with the given settings; running unless told otherwise."""
    async with ClientSession() as client:
        made: list[tuple[Exchange, Listener]] = []

        async def connect(*, is_running: bool = True, **settings: Any) -> Exchange:
            adapter = build("hotline", make_settings(tmp_path, **settings), make_tools())
            listener = Listener("127.0.0.1", 0)
            listener.mount(adapter.routes)
            await listener.start()
            exchange = Exchange(adapter, listener, client)
            made.append((exchange, listener))
            if is_running:
                await exchange.run()
            return exchange

        yield connect
        for exchange, listener in made:
            await exchange.stop()
            await listener.stop()


def fields_of(call: dict[str, Any], users: str) -> list[tuple[str, str]]:
    plain = [(name, str(value)) for name, value in call.items() if name != "user"]
    return plain + [(users, user) for user in call["user"]]


def multipart() -> FormData:
    form = FormData(default_to_multipart=True)
    for name, value in fields_of(EVENT, "user[]"):
        form.add_field(name, value)
    return form


@pytest.mark.parametrize(
    "body",
    [
        orjson.dumps(EVENT),
        orjson.dumps({("call_id" if k == "callId" else k): v for k, v in EVENT.items()}),
        orjson.dumps({k.upper(): v for k, v in EVENT.items()} | {"EVENT": "NEWCALL"}),
        b"\r\n " + orjson.dumps(EVENT | {"queue": "support", "unknown": {"deep": [1]}}),
        FormData(fields_of(EVENT, "user[]")),
        FormData(fields_of(EVENT, "user")),
        multipart(),
    ],
    ids=["json", "call_id", "capitals", "more fields", "user[]", "repeated user", "multipart"],
)
async def test_an_event_is_kept_in_whatever_form_it_is_posted(connect: Connect, body: Any) -> None:
    exchange = await connect()

    assert await exchange.post(body) == (200, {"status": "ok"})

    arrival, call = exchange.store.only()
    assert (arrival.channel, arrival.medium) == ("hotline", Medium.PHONE)
    assert (arrival.external_id, arrival.received_at) == ("c1:newCall", NOW)
    assert arrival.envelope.peer == "127.0.0.1"
    assert call == Call(
        call_id="c1",
        event=CallEvent.NEW,
        is_inbound=True,
        from_number="+886912345678",
        to_number="+886223456789",
        users=("201", "202"),
    )


async def test_the_message_joins_by_its_call_and_has_no_words(connect: Connect) -> None:
    exchange = await connect()
    await exchange.send(event="hangup", cause="noAnswer", user="chen")

    [message] = exchange.store.messages()

    assert message.sender == Address(scheme=Scheme.PHONE, value="+886912345678")
    assert message.recipients == (Recipient(role=Role.TO, address=Address(scheme=Scheme.PHONE, value="+886223456789")),)
    assert (message.message_id, message.references) == ("c1", ("c1",))
    assert (message.subject, message.text) == ("", "")
    assert message.call is not None
    assert message.call.cause == "noAnswer"
    assert message.call.users == ("chen",)


async def test_what_is_stored_has_the_numbers_as_sent_and_both_times(connect: Connect) -> None:
    exchange = await connect()
    await exchange.send(timestamp=int((NOW - timedelta(seconds=3)).timestamp()))

    arrival, _ = exchange.store.only()

    assert arrival.raw == orjson.dumps(orjson.loads(arrival.raw), option=orjson.OPT_SORT_KEYS)
    assert orjson.loads(arrival.raw) == {
        "call_id": "c1",
        "cause": "",
        "direction": "in",
        "event": "newCall",
        "from": "+886912345678",
        "from_raw": "0912345678",
        "received_at": "2026-11-23T01:00:00+00:00",
        "source_at": "2026-11-23T00:59:57+00:00",
        "time_raw": "1795395597",
        "to": "+886223456789",
        "to_raw": "02-2345-6789",
        "users": ["201", "202"],
    }


FOUR_SECONDS_AGO = NOW - timedelta(seconds=4)


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("timestamp", FOUR_SECONDS_AGO.timestamp(), FOUR_SECONDS_AGO),
        ("timestamp", int(FOUR_SECONDS_AGO.timestamp() * 1000), FOUR_SECONDS_AGO),
        ("timestamp", str(int(FOUR_SECONDS_AGO.timestamp())), FOUR_SECONDS_AGO),
        ("time", "2026-11-23T00:59:56Z", FOUR_SECONDS_AGO),
        ("time", "2026-11-23T08:59:56+08:00", FOUR_SECONDS_AGO),
        ("time", (NOW + timedelta(seconds=30)).isoformat(), NOW),  # its clock is fast: never later than arrival
        ("time", (NOW + timedelta(hours=8)).isoformat(), None),  # local time that calls itself UTC
        ("time", (NOW - timedelta(days=400)).isoformat(), None),  # a clock that was never set
        ("time", "2026-11-23T08:59:56", None),  # no zone
        ("time", "0001-01-01T00:00:00+14:00", None),
        ("time", "yesterday", None),
        ("time", "9" * 19, None),
        ("time", "", None),
        ("time", None, None),
    ],
)
async def test_the_exchanges_own_time_counts_where_it_makes_sense(
    connect: Connect, field: str, value: object, expected: datetime | None
) -> None:
    exchange = await connect()

    assert await exchange.send(**{field: value}) == (200, {"status": "ok"})

    arrival, call = exchange.store.only()
    assert arrival.received_at == (expected or NOW)
    assert call.has_source_time == (expected is not None)


async def test_repeated_events_are_one_and_answers_by_different_people_are_two(connect: Connect) -> None:
    exchange = await connect()
    told = [
        {"event": "newCall"},
        {"event": "answer", "user": "chen"},
        {"event": "answer", "user": "lin"},
        {"event": "hangup", "cause": "forwarded"},
        {"event": "hangup", "cause": "normalClearing"},
    ]

    for fields in told + told[::-1]:
        assert (await exchange.send(**fields))[0] == 200

    assert list(exchange.store.kept) == [
        "c1:newCall",
        "c1:answer:chen",
        "c1:answer:lin",
        "c1:hangup:forwarded",
        "c1:hangup",
    ]


async def test_very_long_names_still_tell_events_apart(connect: Connect) -> None:
    exchange = await connect()
    many = [f"{number}{'x' * 150}" for number in range(9)]

    for last in ("chen", "lin", "chen"):
        await exchange.send(event="answer", user=[*many, last])

    assert len(exchange.store.kept) == 2
    assert all(len(external_id) <= 400 for external_id in exchange.store.kept)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"from": "anonymous"}, ("", "+886223456789")),
        ({"from": None}, ("", "+886223456789")),
        ({"from": 886912345678}, ("+886912345678", "+886223456789")),
        ({"from": "95588", "to": "801"}, ("95588", "801")),
        ({"to": ""}, ("+886912345678", "")),
    ],
)
async def test_odd_numbers_lose_no_call(connect: Connect, fields: dict[str, object], expected: tuple[str, str]) -> None:
    exchange = await connect()

    assert (await exchange.send(**fields))[0] == 200

    _, call = exchange.store.only()
    assert (call.from_number, call.to_number) == expected


def test_who_answered_is_named_by_user_and_by_answering_number() -> None:
    posted = parse_body(orjson.dumps(EVENT | {"event": "answer", "user": "Chen Mei", "answeringNumber": "201"}))

    assert posted.users == ("Chen Mei", "201")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"event": "ringing"}, "event"),
        ({"event": None}, "event"),
        ({"event": ["newCall"]}, "event"),
        ({"direction": "sideways"}, "direction"),
        ({"direction": None}, "direction"),
        ({"callId": None}, "callId"),
        ({"callId": "  "}, "callId"),
        ({"callId": "x" * 251}, "callId"),
        ({"callId": "a\u0000b"}, "callId"),
        ({"callId": 1699999999.1}, "callId"),
        ({"callId": True}, "callId"),
        ({"from": {"number": "1"}}, "from"),
        ({"user": {"name": "chen"}}, "user"),
        ({"user": [["chen"]]}, "user"),
    ],
)
async def test_a_malformed_event_is_refused_with_the_name_of_the_field(
    connect: Connect, fields: dict[str, object], field: str
) -> None:
    exchange = await connect()

    status, answer = await exchange.send(**fields)

    assert status == 400
    assert f'"{field}"' in answer["error"]
    assert not exchange.store.kept


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"", {}),
        (b"{", {}),
        (b"[]", {}),
        (b'["event"]', {}),
        (b'{"event":' * 5000, {}),
        (b"\xff\xfe\x00", {}),
        (b"&".join(b"a%d=1" % n for n in range(200)), {}),
        (b"x", {"Content-Type": "multipart/form-data"}),
        (b"x", {"Content-Type": "multipart/form-data; boundary=b"}),
        (b"\r\n--b\r\n\r\n" * 500, {"Content-Type": "multipart/form-data; boundary=b"}),
    ],
)
async def test_what_is_no_event_is_refused_with_a_sentence(
    connect: Connect, body: bytes, headers: dict[str, str]
) -> None:
    exchange = await connect()

    status, answer = await exchange.post(body, headers=headers)

    assert status == 400
    assert answer["error"].endswith(".")
    assert not exchange.store.kept


@given(st.binary(max_size=300), st.sampled_from(["", "multipart/form-data; boundary=b", "application/json"]))
def test_no_body_does_worse_than_being_refused(body: bytes, content_type: str) -> None:
    for told in (body, b"event=answer&direction=in&callId=" + body, b'\r\n--b\r\nname="event"' + body):
        try:
            parse_body(told, content_type)
        except EventError as refused:
            assert str(refused)  # noqa: PT017  # either an event or a sentence


async def test_a_body_over_the_limit_is_refused(connect: Connect) -> None:
    exchange = await connect()

    status, answer = await exchange.post(b" " * (64 * 1024 + 1))

    assert (status, answer) == (413, {"error": "The body is larger than 65536 bytes."})


@pytest.mark.parametrize("secret", ["wrong", SECRET[:-1], SECRET + "x", SECRET.upper(), "%E7%A7%98", "%00"])
async def test_a_wrong_secret_looks_like_a_path_that_nobody_serves(connect: Connect, secret: str) -> None:
    exchange = await connect()

    assert await exchange.post(orjson.dumps(EVENT), secret=secret) == (404, {"error": "There is nothing here."})
    assert await exchange.post(b"", secret=secret + "/x") == (404, {"error": "There is nothing here."})
    assert not exchange.store.kept
    assert isinstance(exchange.adapter.receiver, TelephonyReceiver)
    assert exchange.adapter.receiver.refused == 1


@pytest.mark.parametrize(("sources", "status"), [((), 200), (("127.0.0.0/8",), 200), (("192.0.2.0/24",), 404)])
async def test_only_the_configured_networks_may_call(connect: Connect, sources: tuple[str, ...], status: int) -> None:
    exchange = await connect(sources=sources)

    assert (await exchange.send())[0] == status
    assert bool(exchange.store.kept) == (status == 200)


async def test_nothing_is_acknowledged_while_the_store_is_down(connect: Connect) -> None:
    exchange = await connect()
    exchange.store.is_down = True

    status, answer = await exchange.send()

    assert (status, exchange.headers["Retry-After"]) == (503, "5")
    assert answer == {"error": "The event could not be stored; send it again."}
    exchange.store.is_down = False
    assert (await exchange.send())[0] == 200
    assert list(exchange.store.kept) == ["c1:newCall"]


async def test_events_are_turned_away_until_the_receiver_runs_and_after_it_was_cancelled(
    connect: Connect,
) -> None:
    exchange = await connect(is_running=False)

    before = await exchange.send()
    wrong_before = await exchange.post(orjson.dumps(EVENT), secret="wrong")
    await exchange.run()
    meanwhile = await exchange.send()
    await exchange.stop()
    after = await exchange.send(callId="c2")
    headers = exchange.headers
    wrong_after = await exchange.post(orjson.dumps(EVENT), secret="wrong")

    assert [status for status, _ in (before, wrong_before, meanwhile, after, wrong_after)] == [
        503,
        503,
        200,
        503,
        404,
    ]
    assert headers["Retry-After"] == "5"
    assert list(exchange.store.kept) == ["c1:newCall"]


async def test_a_receiver_that_stops_while_a_body_comes_acknowledges_nothing(connect: Connect) -> None:
    exchange = await connect()
    half_sent, rest = asyncio.Event(), asyncio.Event()

    async def chunks() -> AsyncIterator[bytes]:
        body = orjson.dumps(EVENT)
        yield body[:10]
        half_sent.set()
        await rest.wait()
        yield body[10:]

    posting = asyncio.create_task(exchange.post(chunks()))
    await half_sent.wait()
    await asyncio.sleep(0.05)
    await exchange.stop()
    rest.set()

    assert (await posting)[0] == 503
    assert not exchange.store.kept


async def test_an_exchange_that_asks_is_told_whom_to_dial(connect: Connect) -> None:
    exchange = await connect(users={"201": "chen", "202": "chen", "301": "lin"})
    exchange.store.decided.set_result(Decided(message_id=1, ticket=7, agent="chen"))

    asked = await exchange.post(orjson.dumps(EVENT), query="?dial=1")
    not_asked = await exchange.post(orjson.dumps(EVENT))
    outgoing = await exchange.post(orjson.dumps(EVENT | {"direction": "out"}), query="?dial=1")
    hangup = await exchange.post(orjson.dumps(EVENT | {"event": "hangup"}), query="?dial=1")

    assert asked == (200, {"action": "dial", "number": "201"})
    assert not_asked == outgoing == hangup == (200, {"status": "ok"})


@pytest.mark.parametrize("agent", [None, "wu"])
async def test_without_a_known_telephone_nobody_is_dialled(connect: Connect, agent: str | None) -> None:
    exchange = await connect(users={"201": "chen"})
    exchange.store.decided.set_result(Decided(message_id=1, ticket=7, agent=agent))

    assert await exchange.post(orjson.dumps(EVENT), query="?dial=1") == (200, {"status": "ok"})


async def test_a_decision_that_takes_too_long_is_not_waited_for_and_not_cancelled(connect: Connect) -> None:
    exchange = await connect(users={"201": "chen"}, dial_wait="50ms")

    assert await exchange.post(orjson.dumps(EVENT), query="?dial=1") == (200, {"status": "ok"})
    assert not exchange.store.decided.cancelled()


async def test_an_exchange_that_does_not_ask_is_not_kept_waiting(connect: Connect) -> None:
    exchange = await connect(users={"201": "chen"}, dial_wait="1h")

    async with asyncio.timeout(5):
        assert await exchange.send() == (200, {"status": "ok"})


async def test_the_secret_is_never_logged(connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    exchange = await connect()

    async def broken(arrivals: Sequence[Arrival]) -> list[Accepted]:
        raise RuntimeError("a bug behind accept")

    await exchange.send()
    await exchange.send(event="x")
    exchange.store.__class__ = type("Broken", (Store,), {"__call__": lambda self, arrivals: broken(arrivals)})
    with pytest.raises(Exception, match="unexpected mimetype"):
        await exchange.send(callId="c9")

    assert "a bug behind accept" in caplog.text
    assert SECRET not in caplog.text


@pytest.mark.parametrize("secret", ["short", "0123456789" * 3, "a" * 60, "with/slash/and/more/characters/in/it"])
async def test_a_channel_with_a_weak_secret_does_not_start(tmp_path: Path, secret: str) -> None:
    adapter = build("hotline", make_settings(tmp_path, secret), make_tools())
    assert adapter.receiver is not None

    with pytest.raises(Fatal, match="intake secret new hotline") as refused:
        await adapter.receiver.receive(Store())

    assert secret not in str(refused.value)


async def test_a_channel_without_its_secret_says_which_file_it_needs(tmp_path: Path) -> None:
    settings = TelephonySettings(secret=Secret(file=tmp_path / "absent"))
    adapter = build("hotline", settings, make_tools())
    assert adapter.receiver is not None

    with pytest.raises(Fatal, match="absent"):
        await adapter.receiver.receive(Store())


@pytest.mark.parametrize(
    ("secret", "bits"),
    [
        ("0123456789abcdef" * 2, 128),
        ("0123456789abcdef0123456789abcde", 124),
        ("0123456789ABCDEFGHIJKL", 132),
        ("0123456789ABCDEFGHIJK", 126),
        ("0123456789" * 2, 66),
        ("aaaaaaaabbbbbbbbccccccccdddddddd", 0),
        ("", 0),
    ],
)
def test_a_secret_is_as_strong_as_its_length_and_alphabet(secret: str, bits: int) -> None:
    assert secret_bits(secret) == bits


def test_new_secrets_are_strong_and_differ() -> None:
    assert secret_bits(new_secret()) >= 256
    assert new_secret() != new_secret()


async def check(settings: TelephonySettings) -> list[tuple[CheckState, str, str]]:
    checker = build("hotline", settings, make_tools()).checker
    assert checker is not None
    lines = await checker.check()
    assert {(line.subject, line.name) for line in lines} == {("phone", "hotline")}
    assert SECRET not in repr(lines)
    return [(line.state, line.problem, line.mend) for line in lines]


async def test_the_check_finds_nothing_wrong_with_a_good_channel(tmp_path: Path) -> None:
    settings = make_settings(tmp_path, sources=["192.0.2.0/24"])

    assert await check(settings) == [(CheckState.OK, "", "")]


async def test_the_check_says_how_to_mend_a_weak_secret(tmp_path: Path) -> None:
    settings = make_settings(tmp_path, "0123456789")

    assert await check(settings) == [
        (CheckState.BAD, "the path secret is 33 bit", "intake secret new hotline (≥ 128 bit)")
    ]


async def test_the_check_finds_a_secret_that_everybody_can_read(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    path = settings.secret.path()
    os.chmod(path, 0o644)

    assert await check(settings) == [
        (CheckState.WARNING, "everybody on this machine can read the path secret", f"chmod 600 {path}")
    ]


async def test_the_check_finds_everything_that_is_wrong_at_once(tmp_path: Path) -> None:
    settings = TelephonySettings(secret=Secret(file=tmp_path / "absent"), region="Taiwan")

    found = await check(settings)

    assert [state for state, _, _ in found] == [CheckState.BAD] * 2
    assert "cannot be read" in found[0][1]
    assert '"Taiwan" is no region' in found[1][1]


def test_a_network_that_is_none_is_refused_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r'"192.0.2.300" is no network'):
        TelephonySettings(secret=Secret(file=tmp_path / "absent"), sources=("192.0.2.300",))


@pytest.mark.parametrize("raw", [b"", b"{}", b"[]", b"null", b'{"call_id": "c1"}'])
def test_reading_something_else_is_an_error(raw: bytes) -> None:
    with pytest.raises(ValueError):
        read(raw)


def test_two_exchanges_share_one_listener(tmp_path: Path) -> None:
    app = web.Application()
    for name in ("north", "south"):
        adapter = build(name, make_settings(tmp_path, path=f"/phone/{name}"), make_tools())
        assert adapter.routes is not None
        adapter.routes(app)

    assert [r.get_info()["formatter"] for r in app.router.resources()] == [
        "/phone/north/{secret}",
        "/phone/south/{secret}",
    ]
