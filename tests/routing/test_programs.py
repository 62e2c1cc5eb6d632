"""Mail programs: named by their headers, or by what telephones put below the words. Shapes from documented markup."""

from __future__ import annotations

import pytest

from channels import mime
from routing.programs import MAX_NAME, UNNAMED, Device, device_of, program_of

DESKTOP, PHONE, UNKNOWN = Device.DESKTOP, Device.PHONE, Device.UNKNOWN


@pytest.mark.parametrize(
    ("header", "words", "name", "device"),
    [
        ("X-Mailer: Microsoft Outlook 16.0", "", "Microsoft Outlook 16.0", DESKTOP),
        ("X-Mailer: Apple Mail (2.3774.500.171)", "", "Apple Mail (2.3774.500.171)", DESKTOP),
        ("X-Mailer: iPhone Mail (21A329)", "", "iPhone Mail (21A329)", PHONE),
        ("X-Mailer: iPad Mail (21A329)", "", "iPad Mail (21A329)", PHONE),
        ("User-Agent: Mozilla Thunderbird", "", "Mozilla Thunderbird", DESKTOP),
        ("User-Agent: Thunderbird for Android", "", "Thunderbird for Android", PHONE),
        ("User-Agent: K-9 Mail for Android", "", "K-9 Mail for Android", PHONE),
        ("User-Agent: NeoMutt/20220429", "", "NeoMutt/20220429", DESKTOP),
        ("User-Agent: Microsoft-MacOutlook/16.79.23111218", "", "Microsoft-MacOutlook/16.79.23111218", DESKTOP),
        ("X-Mailer: Foxmail 7.2.25.331[cn]", "", "Foxmail 7.2.25.331[cn]", DESKTOP),
        ("X-Mailer: QQMail 2.x", "", "QQMail 2.x", DESKTOP),
        ("X-Mailer: MailMasterAndroid/7.18.4", "", "MailMasterAndroid/7.18.4", PHONE),
        ("X-Mailer: MailMaster_iOS/7.1", "", "MailMaster_iOS/7.1", PHONE),
        ("", "好的\n\n從我的 iPhone 傳送", "iPhone", PHONE),
        ("", "好的\n\n发自我的iPhone", "iPhone", PHONE),
        ("", "ok\n\nSent from my iPhone", "iPhone", PHONE),
        ("", "ok\n\nGet Outlook for iOS", "iOS", PHONE),
        ("", "好的\n发自我的华为手机", "华为", PHONE),
        ("", "好的\n取得 Outlook for Android", "Android", PHONE),
        ("", "the customer's iPhone does not show it", UNNAMED, UNKNOWN),
        ("", "ok", UNNAMED, UNKNOWN),
    ],
)
def test_which_program_wrote_it(header: str, words: str, name: str, device: Device) -> None:
    lines = [*([header] if header else []), "From: chen@firm.example", "Content-Type: text/plain; charset=utf-8"]
    program = program_of(mime.parse("\r\n".join([*lines, "", words, ""]).encode()))

    assert (program.name, program.device) == (name, device)
    assert device_of(program.name) is device


def test_a_name_is_short_and_shows_nothing_it_is_not() -> None:
    header = "X-Mailer: A\u202eB\u200b;C" + "d" * 5000
    program = program_of(mime.parse(f"{header}\r\nFrom: chen@firm.example\r\n\r\nx\r\n".encode()))

    assert program.name.startswith("A B C")
    assert len(program.name) <= MAX_NAME
