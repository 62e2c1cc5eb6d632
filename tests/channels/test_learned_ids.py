"""Which Message-ID a relay says it put in place of ours."""

from __future__ import annotations

import pytest

from channels.learned_ids import learned_id

SES = "0100018f1a2b3c4d-8c9ae21b-1234-4abc-9def-0123456789ab-000000"
EXCHANGE = "<SEYPR02MB1234ABCD@SEYPR02MB1234.apcprd02.prod.outlook.com>"


@pytest.mark.parametrize(
    ("reply", "host", "expected"),
    [
        (f"250 Ok {SES}", "email-smtp.us-east-1.amazonaws.com", f"<{SES}@email.amazonses.com>"),
        (f"250 Ok {SES}", "email-smtp.eu-west-1.amazonaws.com", f"<{SES}@eu-west-1.amazonses.com>"),
        (f"250 Ok {SES}\r\n", "EMAIL-SMTP.ap-northeast-1.amazonaws.com.", f"<{SES}@ap-northeast-1.amazonses.com>"),
        (f"250 Ok {SES}", "email-smtp-fips.us-gov-west-1.amazonaws.com", f"<{SES}@us-gov-west-1.amazonses.com>"),
        (f"250 2.0.0 OK {EXCHANGE} [Hostname=SEYPR02MB1234]", "smtp.office365.com", EXCHANGE),
        (f"250 2.6.0 OK {EXCHANGE}", "firm-example.mail.protection.outlook.com", EXCHANGE),
        # A queue number is no id, and nobody else replaces ours.
        ("250 2.0.0 Ok: queued as 4XyZ12", "smtp.office365.com", ""),
        ("250 2.0.0 Ok: queued as 4XyZ12", "mail.firm.example", ""),
        (f"250 Ok {SES}", "mail.firm.example", ""),
        (f"250 2.0.0 OK {EXCHANGE}", "mail.firm.example", ""),
        (f"250 2.0.0 OK {EXCHANGE}", "smtp.office365.com.evil.example", ""),
        (f"250 2.0.0 OK {EXCHANGE}", "evil-office365.com", ""),
        (f"250 Ok {SES} and more", "email-smtp.us-east-1.amazonaws.com", ""),
        ("250 Ok 1", "email-smtp.us-east-1.amazonaws.com", ""),
        (f"450 2.0.0 OK {EXCHANGE}", "smtp.office365.com", ""),
        ("250 2.0.0 OK <a\r\nb@c.example>", "smtp.office365.com", ""),
        ("250 2.0.0 OK <a@b@c.example> x", "smtp.office365.com", ""),
        ("", "smtp.office365.com", ""),
        (f"250 Ok {SES}", "", ""),
    ],
)
def test_an_id_is_learned_from_those_who_replace_it_and_name_it(reply: str, host: str, expected: str) -> None:
    assert learned_id(reply, host) == expected
