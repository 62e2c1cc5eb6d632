"""Bounces: the reports of servers that follow no standard, and the mails of people that only look like one."""

from __future__ import annotations

import json

import pytest

from channels import mime
from channels.message import Bounce, BounceKind

MARK = "0123456789abcdef.0123456789abcdef0123456789abcdef"

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


def bounce_of(raw: str) -> Bounce | None:
    return mime.parse(raw.encode()).bounce


def found(raw: str) -> Bounce:
    bounce = bounce_of(raw)
    assert bounce is not None
    return bounce


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
        (
            ['Final-Recipient: rfc822; "odd..name"@x.example\nAction: failed\nStatus: 5.1.1'],
            BounceKind.FAILED,
            "odd..name@x.example",
        ),
        # What the customer is known by, not where his provider keeps his mail.
        (
            ["Original-Recipient: rfc822;a@x.example\nFinal-Recipient: rfc822;box7@store.example\nAction: failed"],
            BounceKind.FAILED,
            "a@x.example",
        ),
    ],
)
def test_the_fields_of_a_report_decide(blocks: list[str], kind: BounceKind, address: str) -> None:
    bounce = found(status(*blocks))

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
        (
            "From: Mail Delivery Subsystem <MAILER-DAEMON>\nSubject: Returned mail: see transcript for details",
            "<a@x.example>\n    (reason: 550 5.1.1 User unknown)",
            BounceKind.FAILED,
            "a@x.example",
        ),
        ("From: <>\nSubject: failure notice", "550 a@x.example... No such user", BounceKind.FAILED, "a@x.example"),
        (
            "Return-Path: <>\nFrom: Postmaster@163.example\nSubject: 系统退信",
            "抱歉，您的邮件被退回来了……\n收件人邮件地址：a@x.example\n退信原因：收件人不存在",
            BounceKind.FAILED,
            "a@x.example",
        ),
        (
            "Return-Path: <>\nFrom: postmaster@x.example\nAuto-Submitted: auto-replied\nSubject: 邮件延迟通知",
            "您发往 a@x.example 的邮件尚未送达，系统将继续尝试。450 4.2.1 busy",
            BounceKind.DELAYED,
            "a@x.example",
        ),
        (
            "Return-Path: <>\nFrom: postmaster@x.example\nSubject: 未傳遞的主旨: 延誤申報",
            "無法傳遞至以下收件者\na@x.example\n550 5.1.10 RESOLVER.ADR.RecipientNotFound",
            BounceKind.FAILED,
            "a@x.example",
        ),
        (
            "From: MicrosoftExchange329e71ec88ae4615bbc36ab6ce41109e@x.example\nSubject: 未送达: 延期申报",
            "你的邮件未能送达 a@x.example\n550 5.1.1",
            BounceKind.FAILED,  # the word for a delay is the customer's
            "a@x.example",
        ),
    ],
)
def test_a_machine_and_words_of_failure_are_a_report(headers: str, body: str, kind: BounceKind, address: str) -> None:
    bounce = found(f"{headers}\nTo: desk@firm.example\n\n{body}\n")

    assert (bounce.kind, bounce.recipient) == (kind, address)


QUOTED = """
> From: Mail Delivery System <MAILER-DAEMON@mx.example>
> Subject: Undelivered Mail Returned to Sender
>
> <desk@firm.example>: host mx.firm.example said: 550 5.1.1 User unknown
> Message-ID: <old@customer.example>
"""
FORWARDED_WHOLE = """From: mei@customer.example
To: desk@firm.example
Subject: Fwd: Undelivered Mail Returned to Sender
Content-Type: multipart/{frame}; boundary=b

--b
Content-Type: text/plain; charset=utf-8

我的信被退了，怎麼辦？
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example

Final-Recipient: rfc822; desk@firm.example
Action: failed
Status: 5.1.1

--b
Content-Type: message/rfc822

From: mei@customer.example
Message-ID: <old@customer.example>

words
--b--
"""


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ("From: mei@customer.example\nSubject: Undelivered Mail Returned to Sender", "what does this mean? 5.1.1"),
        ("From: mei@customer.example\nSubject: 退信", "我收到退信，請問是什麼意思？"),
        ("Return-Path: <>\nFrom: parcels@courier.example\nSubject: Your parcel could not be delivered", "come by"),
        ("From: postmaster@customer.example\nSubject: tax question", "how do I file?"),
        (
            "From: mei@customer.example\nSubject: Fwd: Undelivered Mail Returned to Sender",
            f"我的信被退了，怎麼辦？{QUOTED}",
        ),
        ("From: mei@customer.example\nSubject: 轉寄: 系統退信", f"請幫我看{QUOTED.replace('> ', '')}"),
        (
            "From: postmaster@customer.example\nSubject: Fwd: Undelivered Mail",
            f"我的信被退了{QUOTED.replace('> ', '')}",
        ),
        ("From: postmaster@customer.example\nSubject: Re: 退信", f"還是寄不出去，請幫忙{QUOTED}"),
        ("From: postmaster@customer.example\nSubject: 請問退信問題", "我們的信一直被退回，怎麼設定？"),
        ("From: no-reply@shop.example\nSubject: Your order could not be delivered", "call us"),
        ("From: daemonica@customer.example\nSubject: delivery failed", "my parcel was not delivered"),
    ],
)
def test_a_person_who_writes_about_a_report_has_sent_none(headers: str, body: str) -> None:
    assert bounce_of(f"{headers}\nTo: desk@firm.example\n\n{body}\n") is None


@pytest.mark.parametrize("frame", ["mixed", "report; report-type=delivery-status"])
def test_a_person_who_forwards_a_report_with_its_parts_has_sent_none(frame: str) -> None:
    assert bounce_of(FORWARDED_WHOLE.replace("{frame}", frame)) is None


# ---- what the report is about

RETURNED = f"""From: desk@firm.example
To: a@x.example
X-Intake-Loop: {MARK}
Message-ID: <ours@firm.example>
Subject: words
"""
REPORT = "Return-Path: <>\nFrom: MAILER-DAEMON@mx.example\nTo: desk@firm.example\nSubject: failure notice\n"


@pytest.mark.parametrize(
    "raw",
    [
        f"{REPORT}Message-ID: <its@own.example>\n\nSorry: user unknown.\n--- Below is a copy.\n\n{RETURNED}\n",
        f"{REPORT}\nuser unknown\n\n" + "".join(f"> {line}\n" for line in RETURNED.splitlines()),
        f"{REPORT}Content-Type: multipart/mixed; boundary=b\n\n--b\n\nuser unknown\n--b\n"
        f"Content-Type: message/rfc822\n\n{RETURNED}\nwords\n--b--\n",
        f"{REPORT}Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n--b\n\nwords\n--b\n"
        "Content-Type: message/delivery-status\n\nReporting-MTA: dns; x\n\nAction: failed\nStatus: 5.1.1\n"
        f"--b\nContent-Type: text/rfc822-headers\n\n{RETURNED}--b--\n",
        f"{REPORT}Content-Type: multipart/mixed; boundary=b\n\n--b\n\nuser unknown\n--b\n"
        f'Content-Type: text/plain; name="headers.txt"\nContent-Disposition: attachment\n\n{RETURNED}\n--b--\n',
    ],
    ids=["below a line", "quoted", "as a mail", "as headers", "as a file"],
)
def test_the_mail_that_came_back_is_named_however_it_is_returned(raw: str) -> None:
    bounce = found(raw)

    assert (bounce.original_message_id, bounce.loop_mark) == ("<ours@firm.example>", MARK)
    assert bounce.recipient == "a@x.example"


# ---- complaints

COMPLAINT = """From: feedback@provider.example
To: desk@firm.example
Subject: FW: words
Content-Type: multipart/report; report-type=feedback-report; boundary=b

--b

An abuse report.
--b
Content-Type: message/feedback-report

Feedback-Type: abuse
User-Agent: x/1
Version: 1

--b
Content-Type: message/rfc822

""" + RETURNED.replace("Subject", "X-Subject")


def test_an_abuse_report_is_a_complaint_of_whom_the_mail_was_for() -> None:
    bounce = found(COMPLAINT + "\nwords\n--b--\n")

    assert (bounce.kind, bounce.reason) == (BounceKind.COMPLAINT, "abuse")
    assert (bounce.recipient, bounce.original_message_id) == ("a@x.example", "<ours@firm.example>")


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        ({"notificationType": "Bounce", "bounce": {"bouncedRecipients": [{"emailAddress": "a@x.example"}]}}, "failed"),
        ({"notificationType": "Delivery", "delivery": {"recipients": ["a@x.example"]}}, "delivered"),
        (
            {"eventType": "Complaint", "complaint": {"complainedRecipients": [{"emailAddress": "a@x.example"}]}},
            "complaint",
        ),
    ],
)
@pytest.mark.parametrize("is_wrapped", [True, False])
def test_what_a_provider_reports_as_json(told: dict[str, object], kind: str, is_wrapped: bool) -> None:
    told = {**told, "mail": {"headers": [{"name": "Message-ID", "value": "<ours@firm.example>"}]}}
    said = json.dumps({"Type": "Notification", "Message": json.dumps(told)} if is_wrapped else told)
    headers = "From: no-reply@sns.amazonaws.com\nx-amz-sns-message-id: 1\nSubject: AWS Notification Message"

    bounce = found(f"{headers}\n\n{said}\n\n--\nunsubscribe\n")

    assert (bounce.kind, bounce.recipient) == (kind, "a@x.example")
    assert bounce.original_message_id == "<ours@firm.example>"
    assert bounce_of(f"From: mei@customer.example\nSubject: x\n\n{said}\n") is None


@pytest.mark.parametrize("said", ["{", '{"notificationType": "Bounce"', "{" * 50_000, '{"notificationType": []}', "{}"])
def test_json_that_reports_nothing_is_no_report(said: str) -> None:
    assert bounce_of(f"From: no-reply@sns.amazonaws.com\nx-amz-sns-message-id: 1\nSubject: x\n\n{said}\n") is None
