"""The normal form as JSON: the same message comes back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import orjson
import pytest

from channels import mime, normal_json
from channels.message import (
    Address,
    Attachment,
    Bounce,
    BounceKind,
    Call,
    CallEvent,
    Medium,
    Message,
    PassedOn,
    Recipient,
    Role,
    Scheme,
    Verdict,
)

MAILS = Path(__file__).parent / "mails"
WANG = Address(scheme=Scheme.MAIL, value="wang@customer.example", display_name="王")
FULL = Message(
    medium=Medium.EMAIL,
    sender=WANG,
    recipients=(Recipient(role=Role.TO, address=WANG), Recipient(role=Role.ENVELOPE, address=WANG)),
    reply_to=(WANG,),
    subject="退稅 𠮷",
    text="new\n",
    quoted="old",
    text_full="all",
    enclosed="words of an attached mail",
    html="<p>",
    attachments=(
        Attachment(path="2", name="稅.pdf", media_type="application/pdf", size=3, sha256="ab"),
        Attachment(
            path="1.3",
            name="a.png",
            media_type="image/png",
            size=0,
            sha256="",
            md5="cd",
            content_id="x",
            is_inline=True,
        ),
    ),
    message_id="<a@b>",
    in_reply_to=("<c@d>",),
    references=("<e@f>", "<c@d>"),
    date_header=datetime(2026, 11, 23, 9, 0, tzinfo=timezone(timedelta(hours=8))),
    language="zh-Hant",
    content_key="ff",
    auto_submitted="bulk",
    bounce=Bounce(kind=BounceKind.DELAYED, recipient="x@y", status="4.0.0", reason="r", original_message_id="<z@z>"),
    spam="YES",
    authentication=(Verdict(by="mx", method="dmarc", result="pass", domain="d", is_trusted_position=True),),
    from_count=2,
    is_absent_by_words=True,
    loop_marks=("desk",),
    automatic_id="All",
    call=Call(
        call_id="c1",
        event=CallEvent.HANGUP,
        is_inbound=False,
        from_number="+886212345678",
        to_number="95588",
        users=("wang", "lin"),
        cause="busy",
        has_source_time=True,
    ),
    passed_on=PassedOn(
        original=Message(medium=Medium.EMAIL, sender=WANG, text="w", date_header=datetime(2026, 11, 20, tzinfo=UTC)),
        note="n",
        local_time="2026-11-20T09:15:00",
        count=2,
        is_attached=True,
    ),
    defects=("odd",),
    is_stub=True,
    source_headers=(("Received", "by mx"), ("From", "王")),
)


def test_every_field_is_carried() -> None:
    names = {name for name in Message.__dataclass_fields__ if getattr(FULL, name)}

    assert names == set(Message.__dataclass_fields__)
    assert normal_json.loads(normal_json.dumps(FULL)) == FULL


@pytest.mark.parametrize("path", sorted(MAILS.glob("*.eml")), ids=lambda path: path.stem)
def test_our_own_mails_come_back_the_same(path: Path) -> None:
    message = mime.parse(path.read_bytes())

    assert normal_json.loads(normal_json.dumps(message)) == message


def test_times_are_written_in_utc() -> None:
    stored = orjson.loads(normal_json.dumps(FULL))

    assert datetime.fromisoformat(stored["date_header"]).tzinfo == UTC


def test_a_field_of_a_later_version_is_passed_over() -> None:
    small = Message(medium=Medium.CHAT, sender=Address(scheme=Scheme.WEB, value="v1"))
    stored = orjson.loads(normal_json.dumps(small)) | {"from_the_future": 1}

    assert normal_json.loads(orjson.dumps(stored)) == small


@pytest.mark.parametrize("octets", [b"", b"[]", b"{}", b'{"medium":"smoke","sender":{}}'])
def test_what_is_no_message_is_refused(octets: bytes) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        normal_json.loads(octets)
