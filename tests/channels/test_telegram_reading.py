"""What is read from an update of Telegram; that its fields are the published ones, the client library says."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from support.telegram import LEE, WANG
from telegram import Update

from channels.message import Scheme
from channels.mime import parts_bytes
from channels.telegram import grouped, read_up_to
from channels.telegram_reading import Fetched, album_of, external_id, files_of, raw_of, read
from channels.telegram_words import MAX_TEXT, kindly, pieces
from intake.demo.botapi_chats import Chats, units


@pytest.fixture
def chats() -> Chats:
    return Chats(seconds=lambda: 1_795_500_000.0)


def taken(chats: Chats) -> Any:
    """What came last; it must be an update for the library, too."""
    update = chats.updates[-1]
    assert Update.de_json(json.loads(json.dumps(update)), None) is not None
    return update


def test_words_with_who_wrote_them_and_in_what_language(chats: Chats) -> None:
    said = chats.says(WANG, "營業稅\r\n何時申報？")
    message = read(raw_of([taken(chats)]))
    assert message.text == "營業稅\n何時申報？"
    assert (message.sender.scheme, message.sender.value) == (Scheme.TELEGRAM, "7001")
    assert message.sender.display_name == "美玲 王"
    assert message.language == "zh-Hant"
    assert message.message_id == f"7001:{said['message_id']}"
    assert [(v.by, v.result) for v in message.authentication] == [("telegram", "pass")]


@pytest.mark.parametrize(
    ("code", "language"),
    [("zh-hans", "zh-Hans"), ("zh-CN", "zh-Hans"), ("zh-TW", "zh-Hant"), ("en-GB", "en"), ("fr", ""), ("", "")],
)
def test_the_language_of_his_client(chats: Chats, code: str, language: str) -> None:
    chats.says(type(WANG)(id=7, first_name="A", language_code=code), "?")
    assert read(raw_of([taken(chats)])).language == language


def test_an_edit_is_a_message_of_its_own_that_shows_as_one(chats: Chats) -> None:
    said = chats.says(WANG, "統編 12345675")
    first = external_id(taken(chats))
    chats.edits(said, "統編 12345676")
    assert external_id(taken(chats)) not in ("", first)
    assert read(raw_of([taken(chats)])).text == "✎ 統編 12345676"


def test_a_reply_brings_what_it_answers_as_a_quotation(chats: Chats) -> None:
    asked = chats.says(WANG, "第一個問題")
    chats.says(WANG, "是這個", reply_to_message=asked)
    message = read(raw_of([taken(chats)]))
    assert (message.text, message.quoted) == ("是這個", "第一個問題")
    assert message.in_reply_to == (f"<tg.7001.{asked['message_id']}>",)


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({"location": {"latitude": 25.03, "longitude": 121.56}}, "📍 25.03, 121.56"),
        ({"contact": {"phone_number": "+886912345678", "first_name": "美玲"}}, "👤 美玲 +886912345678"),
        ({"dice": {"emoji": "🎲", "value": 4}}, "🎲 4"),
        ({"text": "a\x1bb\x00c"}, "abc"),
    ],
)
def test_what_has_no_words_is_named(chats: Chats, fields: dict[str, Any], shown: str) -> None:
    chats.says(LEE, **fields)
    assert read(raw_of([taken(chats)])).text == shown


def test_a_file_is_found_again_by_its_part(chats: Chats) -> None:
    content = bytes(range(256)) * 50
    chats.says(WANG, document=chats.file(content, "發票.pdf") | {"mime_type": "application/pdf"}, caption="請看")
    wanted = files_of(taken(chats))
    raw = raw_of([taken(chats)], [Fetched(wanted=wanted[0], content=content)])
    message = read(raw)
    assert message.text == "請看"
    (file,) = message.attachments
    assert (file.name, file.media_type, file.size) == ("發票.pdf", "application/pdf", len(content))
    assert dict(parts_bytes(raw, [file.path]))[file.path] == content


def test_the_largest_of_a_picture_s_sizes_is_fetched(chats: Chats) -> None:
    sizes = [chats.file(b"s", "s") | {"width": 1, "height": 1}, chats.file(b"large", "l") | {"width": 9, "height": 9}]
    chats.says(WANG, photo=sizes)
    assert [w.file_id for w in files_of(taken(chats))] == [sizes[-1]["file_id"]]


def test_a_file_that_could_not_be_had_is_named_in_the_words(chats: Chats) -> None:
    chats.says(WANG, document=chats.file(b"", "大檔.zip") | {"file_size": 25_000_000})
    (wanted,) = files_of(taken(chats))
    message = read(raw_of([taken(chats)], [Fetched(wanted=wanted, content=None, problem="too_large")]))
    assert message.text == "📎 大檔.zip (25.0 MB)"
    assert message.attachments == ()
    assert message.defects


def test_albums_are_joined_and_nothing_else_is(chats: Chats) -> None:
    for number, more in enumerate([{"media_group_id": "A"}, {}, {"media_group_id": "A"}, {"media_group_id": "B"}]):
        chats.says(WANG, "", photo=[chats.file(b"x", "x")], **({"caption": str(number)} if number != 2 else {}), **more)
    groups = grouped(chats.updates)
    assert [[u["update_id"] for u in g] for g in groups] == [[1, 3], [2], [4]]
    assert [album_of(u) for u in chats.updates] == ["7001:A", "", "7001:A", "7001:B"]
    # An offset must never step over an update that is not committed with it.
    assert read_up_to(groups) == [2, 4, 5]
    assert read(raw_of(groups[0])).text == "0"


@pytest.mark.parametrize(
    "update",
    [
        {"update_id": 1},
        {"update_id": 1, "message": {"chat": {}}},
        {"update_id": 1, "message": {"chat": {"id": "x"}, "from": {}}},
        {"update_id": 1, "message": {"chat": {"id": 5}, "location": {"x": 1}}},
        {"update_id": 1, "business_message": {"text": "a kind of tomorrow"}},
    ],
)
def test_what_is_no_message_is_a_value_error_and_nothing_else(update: dict[str, Any]) -> None:
    assert external_id(update)
    files_of(update)
    kindly(update, "firm")
    with pytest.raises(ValueError):
        read(raw_of([update]))


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b'{"updates": 1}', b'{"updates":[],"files":[]}'])
def test_octets_that_are_not_ours_are_a_value_error(raw: bytes) -> None:
    with pytest.raises(ValueError):
        read(raw)


def test_a_caption_cannot_break_out_of_its_part(chats: Chats) -> None:
    evil = "x\r\n--=_intake-telegram\r\nContent-Type: text/html\r\n\r\n<b>"
    chats.says(WANG, evil, document=chats.file(b"file", "a.txt"))
    (wanted,) = files_of(taken(chats))
    raw = raw_of([taken(chats)], [Fetched(wanted=wanted, content=b"--=_intake-telegram--")])
    message = read(raw)
    assert "--=_intake-telegram" in message.text
    assert [a.path for a in message.attachments] == ["2"]
    assert dict(parts_bytes(raw, ["2"]))["2"] == b"--=_intake-telegram--"
    assert base64.b64encode(b"--=_intake-telegram--") in raw


@pytest.mark.parametrize("text", ["一" * 9000, "🙂" * 5000, ("word " * 2000).strip(), "line\n" * 3000, "  short  "])
def test_a_long_text_is_cut_into_what_telegram_takes(text: str) -> None:
    found = pieces(text)
    assert all(0 < units(one) <= MAX_TEXT for one in found)
    assert "".join("".join(found).split()) == "".join(text.split())
    assert len(found) <= units(text) // (MAX_TEXT // 2) + 1


@pytest.mark.parametrize("person", [WANG, LEE])
def test_he_is_greeted_in_his_language(chats: Chats, person: Any) -> None:
    chats.says(person, "/start")
    words = kindly(taken(chats), "誠信會計師事務所")
    assert "誠信會計師事務所" in words
    assert ("Hello" in words) == (person is LEE)
    chats.says(person, "hello")
    assert kindly(taken(chats), "f") == ""
