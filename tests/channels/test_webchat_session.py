"""The chat's frame protocol: every frame has one meaning, and no frame of a stranger gets at anybody else's."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.adapter import Envelope, TranscriptLine
from channels.message import Address, Medium, Scheme, Verdict
from channels.webchat_frames import ack, line, ours, welcome
from channels.webchat_reading import read
from channels.webchat_session import (
    MAX_STRIKES,
    Bucket,
    Close,
    Conversation,
    Effect,
    Greet,
    Keep,
    Recall,
    Rules,
    Say,
    Seen,
    longest_text,
)
from channels.webchat_tokens import session_of, sign

KEY = b"k" * 32
SESSION = "0123456789abcdef" * 2
NOW = datetime(2026, 11, 23, 7, 30, tzinfo=UTC)
CLIENT = "c0ffee00c0ffee00"


def rules(max_text: int = 100) -> Rules:
    return Rules(channel="website", key=KEY, max_text=max_text, new_session=lambda: SESSION)


def frame(type_: str, **fields: object) -> bytes:
    return orjson.dumps({"type": type_, **fields})


def as_json(value: object) -> bytes:
    return json.dumps(value).encode()  # with integers beyond 64 bit, which orjson does not write


def fresh() -> Conversation:
    return Conversation(rules(), Envelope(peer="192.0.2.7"))


def greeted(rate: float = 5.0, max_text: int = 100) -> Conversation:
    talk = Conversation(rules(max_text), Envelope(peer="192.0.2.7"))
    assert isinstance(talk.take(frame("hello"), NOW, 0.0), Greet)
    talk.admit(Bucket(rate))
    return talk


def take(talk: Conversation, sent: bytes, tick: float = 0.0) -> Effect:
    return talk.take(sent, NOW, tick)


def test_a_visitor_without_a_token_gets_a_new_session() -> None:
    effect = take(fresh(), frame("hello", after="m7", language="zh-Hant"))

    token = sign(KEY, "website", SESSION)
    # The position belongs to somebody else's transcript: it is not taken over.
    assert effect == Greet(session=SESSION, token=token, is_new=True, after="", language="zh-Hant")


def test_a_token_of_ours_is_its_session() -> None:
    token = sign(KEY, "website", "f" * 32)

    effect = take(fresh(), frame("hello", token=token, after="m7"))

    assert effect == Greet(session="f" * 32, token=token, is_new=False, after="m7", language="")


@pytest.mark.parametrize(
    "token",
    [
        "f" * 32,
        "f" * 32 + ".",
        "f" * 32 + "." + "A" * 43,
        sign(KEY, "website", "f" * 32)[:-1],
        sign(KEY, "website", "f" * 32).replace("f", "e", 1),
        sign(KEY, "another-site", "f" * 32),
        sign(b"another key of ours", "website", "f" * 32),
        "王.美玲",
    ],
)
def test_a_token_that_is_not_ours_makes_a_stranger(token: str) -> None:
    effect = take(fresh(), frame("hello", token=token, after="m7"))

    assert session_of(KEY, "website", token) is None
    assert isinstance(effect, Greet)
    assert (effect.session, effect.is_new, effect.after) == (SESSION, True, "")


def test_a_line_becomes_an_arrival_with_canonical_octets() -> None:
    sent = frame("msg", id=CLIENT, text="您好", name="王美玲", language="zh-Hant", page="https://f.example/")

    effect = take(greeted(), sent)

    assert isinstance(effect, Keep)
    arrival = effect.arrival
    assert (arrival.channel, arrival.medium, arrival.received_at) == ("website", Medium.CHAT, NOW)
    assert arrival.external_id == f"{SESSION}:{CLIENT}"
    assert arrival.envelope == Envelope(peer="192.0.2.7")
    assert arrival.raw == (
        b'{"at":"2026-11-23T07:30:00+00:00","client_id":"c0ffee00c0ffee00","language":"zh-Hant",'
        b'"name":"\xe7\x8e\x8b\xe7\xbe\x8e\xe7\x8e\xb2","page":"https://f.example/",'
        b'"session":"0123456789abcdef0123456789abcdef","text":"\xe6\x82\xa8\xe5\xa5\xbd"}'
    )


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"", 1007),
        (b"{", 1007),
        (b"[]", 1007),
        (b'"msg"', 1007),
        (b'{"type":"msg","text":"\xff"}', 1007),
        (b'{"type":"msg","id":"c0ffee00","text":"\\ud800"}', 1007),
        (b"[" * 5000, 1007),
        (frame("dance"), 1003),
        (frame("msg"), 1007),
        (frame("msg", id=CLIENT), 1007),
        (frame("msg", id=CLIENT, text=7), 1007),
        (frame("msg", id="short", text="x"), 1007),
        (frame("msg", id="has:colon:in:it", text="x"), 1007),
        (frame("msg", id="x" * 65, text="x"), 1007),
        (frame("got"), 1007),
        (frame("got", ids=["o1"] * 201), 1007),
        (frame("since"), 1007),
        (frame("since", after="m" * 65), 1007),
        (frame("hello"), 1008),
    ],
)
def test_a_bad_frame_closes_the_socket_with_a_reason(sent: bytes, code: int) -> None:
    effect = take(greeted(), sent)

    assert isinstance(effect, Close)
    assert effect.code == code
    assert 0 < len(effect.reason.encode()) <= 123


@pytest.mark.parametrize("sent", [frame("msg", id=CLIENT, text="x"), frame("since", after=""), frame("got", ids=[])])
def test_nothing_is_taken_before_hello(sent: bytes) -> None:
    assert take(fresh(), sent) == Close(1008, "say hello first")


@pytest.mark.parametrize(("token", "after"), [(7, ""), ([], 7), ("", ["m1"]), ("", "m" * 65)])
def test_hello_takes_texts_only(token: object, after: object) -> None:
    effect = take(fresh(), frame("hello", token=token, after=after))

    assert effect == Close(1007, "hello: token and after are texts")


@pytest.mark.parametrize(
    ("text", "reason"), [("x" * 101, "too_long"), ("", "empty"), (" \n\t", "empty"), ("\x00", "empty")]
)
def test_what_can_never_be_kept_is_refused_and_the_socket_stays(text: str, reason: str) -> None:
    effect = take(greeted(), frame("msg", id=CLIENT, text=text))

    assert isinstance(effect, Say)
    assert orjson.loads(effect.frame) == {"type": "refused", "id": CLIENT, "reason": reason}


def test_a_visitor_may_write_five_a_second_and_ten_at_once_after_a_rest() -> None:
    talk = greeted(rate=5.0)

    at_once = [type(take(talk, frame("msg", id=CLIENT, text="x"), tick=100.0)) for _ in range(12)]
    later = [type(take(talk, frame("msg", id=CLIENT, text="x"), tick=101.0)) for _ in range(6)]

    assert at_once == [Keep] * 10 + [Say] * 2
    assert later == [Keep] * 5 + [Say]


def test_too_fast_is_told_when_to_try_again() -> None:
    talk = greeted(rate=0.5)
    take(talk, frame("msg", id=CLIENT, text="x"))

    effect = take(talk, frame("msg", id=CLIENT, text="x"))

    assert isinstance(effect, Say)
    assert orjson.loads(effect.frame) == {"type": "slow_down", "id": CLIENT, "retry_ms": 2001}


def test_two_tabs_share_one_allowance() -> None:
    bucket = Bucket(1.0)
    one, two = greeted(), greeted()
    one.admit(bucket)
    two.admit(bucket)

    effects = [type(take(talk, frame("msg", id=CLIENT, text="x"))) for talk in (one, two, one)]

    assert effects == [Keep, Keep, Say]


def test_who_does_not_listen_is_shut_out_in_the_end() -> None:
    talk = greeted(rate=1.0)

    effects = [take(talk, frame("msg", id=CLIENT, text="x")) for _ in range(2 + MAX_STRIKES + 1)]

    assert [type(e) for e in effects[:-1]] == [Keep] * 2 + [Say] * MAX_STRIKES
    assert effects[-1] == Close(1008, "too many frames")


def test_a_page_can_confirm_only_what_it_was_shown() -> None:
    talk = greeted()
    talk.offer(["o5", "o6"])

    assert take(talk, frame("got", ids=["o5", "o7", "m1", 5, None, "o5"])) == Seen((5,))
    talk.confirmed([5])
    assert take(talk, frame("got", ids=["o5"])) == Seen(())
    assert take(talk, frame("got", ids=["o6"])) == Seen((6,))


def test_since_asks_for_what_came_after() -> None:
    assert take(greeted(), frame("since", after="o9")) == Recall("o9")


def test_an_ack_is_the_same_octets_for_the_same_line() -> None:
    assert ack(CLIENT, 12) == b'{"type":"ack","id":"c0ffee00c0ffee00","line":"m12"}'
    assert ack(CLIENT, 12) == ack(CLIENT, 12)


def test_the_welcome_tells_visitor_and_firm_apart() -> None:
    shown = [
        TranscriptLine(id="m1", is_from_visitor=True, text="hi", at=NOW, client_id=CLIENT),
        TranscriptLine(id="o4", is_from_visitor=False, text="hello", at=NOW, author="陳"),
    ]

    sent = orjson.loads(
        welcome(shown, token="t", has_more=False, firm="Jade", promise="", max_text=9, now=NOW),
    )

    at = 1795419000000
    assert sent == {
        "type": "welcome",
        "token": "t",
        "lines": [
            {"id": "m1", "text": "hi", "at": at, "client": CLIENT},
            {"id": "o4", "text": "hello", "at": at, "author": "陳"},
        ],
        "more": False,
        "firm": "Jade",
        "promise": "",
        "max_text": 9,
        "now": at,
    }
    assert orjson.loads(line(shown[1])) == {"type": "line", **sent["lines"][1]}
    assert ours(shown) == ["o4"]


def test_a_kept_line_reads_back_as_a_message() -> None:
    keep = take(
        greeted(), frame("msg", id=CLIENT, text=" a\r\nb\x00\x1b[1m ", name="王\u202e\u200b 美玲", language="en")
    )
    assert isinstance(keep, Keep)

    message = read(keep.arrival.raw)

    assert message.sender == Address(scheme=Scheme.WEB, value=SESSION, display_name="王 美玲")
    assert (message.medium, message.text, message.text_full) == (Medium.CHAT, "a\nb[1m", "a\nb[1m")
    assert (message.message_id, message.references) == (f"{SESSION}:{CLIENT}", (SESSION,))
    assert message.authentication == (Verdict(by="webchat", method="token", result="pass"),)
    assert message.language == "en"


@pytest.mark.parametrize("raw", [b"", b"[]", b"7", b"{}", b'{"session":"s","client_id":"c","text":7}', b"\xff"])
def test_what_we_have_not_written_is_a_value_error(raw: bytes) -> None:
    with pytest.raises(ValueError):
        read(raw)


@pytest.mark.parametrize(("max_frame", "longest"), [(16384, 4000), (1024, 128)])
def test_the_longest_text_fits_into_a_frame(max_frame: int, longest: int) -> None:
    sent = frame("msg", id="x" * 64, text="稅" * longest, name="王" * 60, language="zh-Hant", page="p" * 300)

    assert longest_text(max_frame) == longest
    assert len(sent) <= max_frame


@given(st.binary(max_size=200) | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(as_json))
def test_no_octets_make_it_stumble(sent: bytes) -> None:
    assert isinstance(take(greeted(), sent), Close)


@given(
    st.fixed_dictionaries(
        {"type": st.sampled_from(["hello", "msg", "got", "since"])},
        optional={
            name: st.none() | st.booleans() | st.text(max_size=90) | st.lists(st.text(max_size=4))
            for name in ("id", "text", "ids", "after", "token", "language", "name", "page")
        },
    )
)
def test_no_fields_make_it_stumble(data: dict[str, object]) -> None:
    for talk in (fresh(), greeted()):
        effect = take(talk, orjson.dumps(data))

        if isinstance(effect, Keep):
            assert read(effect.arrival.raw).text
