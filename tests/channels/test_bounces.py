"""Bounces: the reports of servers that follow no standard, and the mails of people that only look like one."""

from __future__ import annotations

import pytest

from channels import mime
from channels.message import BounceKind

STATUS = """From: postmaster@mx.example
To: desk@firm.example
Subject: report
Content-Type: multipart/report; report-type=delivery-status; boundary=b

--b

words
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example

{blocks}
--b--
"""


def status(*blocks: str) -> str:
    return STATUS.format(blocks="\n\n".join(blocks))


def recipient(address: str, action: str, code: str) -> str:
    return f"Final-Recipient: rfc822;{address}\nAction: {action}\nStatus: {code}"


@pytest.mark.parametrize(
    ("blocks", "kind", "address"),
    [
        ([recipient("a@x.example", "delayed", "4.4.1")], BounceKind.DELAYED, "a@x.example"),
        ([recipient("a@x.example", "delivered", "2.0.0")], BounceKind.DELIVERED, "a@x.example"),
        ([recipient("a@x.example", "relayed", "2.1.9")], BounceKind.DELIVERED, "a@x.example"),
        (
            [recipient("a@x.example", "delayed", "4.4.1"), recipient("b@x.example", "failed", "5.2.2")],
            BounceKind.FAILED,
            "b@x.example",
        ),
        (["Final-Recipient: rfc822; <A@X.example>\nStatus: 5.0.0"], BounceKind.FAILED, "a@x.example"),
    ],
)
def test_the_fields_of_a_report_decide(blocks: list[str], kind: BounceKind, address: str) -> None:
    bounce = mime.parse(status(*blocks).encode()).bounce

    assert bounce is not None
    assert (bounce.kind, bounce.recipient) == (kind, address)


@pytest.mark.parametrize(
    ("headers", "body", "kind", "address"),
    [
        (
            "From: Mail Delivery Subsystem <MAILER-DAEMON@x.example>\nSubject: Returned mail: see transcript",
            "----- The following addresses had permanent fatal errors -----\n<a@x.example>",
            BounceKind.FAILED,
            "a@x.example",
        ),
        (
            "From: PostMaster@qq.example\nSubject: 系统退信/Systems bounce",
            "您发送到 a@x.example 的邮件被退回。",
            BounceKind.FAILED,
            "a@x.example",
        ),
        (
            "From: Mailer-Daemon@x.example\nSubject: 傳送失敗通知",
            "無法傳送給 a@x.example",
            BounceKind.FAILED,
            "a@x.example",
        ),
        (
            "From: mailer-daemon@x.example\nX-Failed-Recipients: a@x.example\nSubject: Mail delivery failed",
            "words",
            BounceKind.FAILED,
            "a@x.example",
        ),
        (
            "From: mailer-daemon@x.example\nSubject: Warning: message still undelivered after 4 hours",
            "to a@x.example; will be retried",
            BounceKind.DELAYED,
            "a@x.example",
        ),
    ],
)
def test_a_machine_and_words_of_failure_are_a_report(headers: str, body: str, kind: BounceKind, address: str) -> None:
    bounce = mime.parse(f"{headers}\nTo: desk@firm.example\n\n{body}\n".encode()).bounce

    assert bounce is not None
    assert (bounce.kind, bounce.recipient) == (kind, address)


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ("From: mei@customer.example\nSubject: Undelivered Mail Returned to Sender", "what does this mean? 5.1.1"),
        ("From: mei@customer.example\nSubject: 退信", "我收到退信，請問是什麼意思？"),
        ("Return-Path: <>\nFrom: parcels@courier.example\nSubject: Your parcel could not be delivered", "come by"),
        ("From: postmaster@customer.example\nSubject: tax question", "how do I file?"),
    ],
)
def test_a_person_who_writes_about_a_report_has_sent_none(headers: str, body: str) -> None:
    message = mime.parse(f"{headers}\nTo: desk@firm.example\n\n{body}\n".encode())

    assert message.bounce is None
