"""Letters about enrolment: every result in every language, and nothing of a stranger's that could act."""

from __future__ import annotations

import email
import email.policy
from datetime import UTC, datetime
from email.message import EmailMessage
from itertools import product
from typing import Any

import pytest

from intake import texts_loader
from intake.compose_welcome import ELSEWHERE, EnrolMail, enrol_facts, enrol_mail
from intake.dates import LANGUAGES
from routing.enrolled import Stage
from routing.enrolling import WELCOME
from routing.words import Evidence

NOW = datetime(2026, 11, 23, 6, 10, tzinfo=UTC)
TEXTS = texts_loader.load()
TOLD = [s.value for s in (Stage.PROVEN, Stage.BY_TOKEN, Stage.OTHER, Stage.UNPROBED, Stage.BARE)]


def facts(**changes: Any) -> EnrolMail:
    given: dict[str, Any] = {
        "desk_address": "support@firm.example",
        "desk_name": "安信財稅",
        "agent_name": "陳怡君",
        "agent_address": "chen@firm.example",
        "language": "zh-Hant",
        "timezone": "Asia/Taipei",
        "now": NOW,
        "date": NOW,
        "message_id": "<2@firm.example>",
        "reply_to": "support+token@firm.example",
        "references": ("<1@firm.example>",),
        "canary": "ikc-aaaaaaaaaaaaaaaa",
        "result": WELCOME,
    }
    return EnrolMail(**(given | changes))


def read(raw: bytes) -> tuple[EmailMessage, str, str]:
    mail = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(mail, EmailMessage)
    plain, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert plain is not None
    assert html is not None
    return mail, str(plain.get_content()), str(html.get_content())


@pytest.mark.parametrize(("result", "language"), [*product([WELCOME, *TOLD, ELSEWHERE], LANGUAGES)])
def test_every_letter_is_there_in_every_language(result: str, language: str) -> None:
    every = tuple(kind.value for kind in Evidence)
    for device, missing in (("desktop", ("phone",)), ("phone", ()), ("", ("desktop", "phone"))):
        raw = enrol_mail(
            facts(
                result=result,
                language=language,
                evidence=every,
                configured=every,
                device=device,
                missing=missing,
                program="Outlook",
                address="eve@evil.example",
            ),
            TEXTS,
        )
        mail, plain, html = read(raw)

        assert mail["Reply-To"].addresses[0].addr_spec == "support+token@firm.example"
        assert mail["Auto-Submitted"] == "auto-generated"
        assert "ikc-aaaaaaaaaaaaaaaa" in plain
        assert "ikc-aaaaaaaaaaaaaaaa" in html
        assert "{" not in plain


def test_a_strangers_address_and_program_do_nothing() -> None:
    evil = '"><script>alert(1)</script>\r\nBcc: x@evil.example\u202e'

    for result in (ELSEWHERE, Stage.BARE.value):
        mail, _, html = read(enrol_mail(facts(result=result, address=evil, program=evil), TEXTS))

        assert mail["Bcc"] is None
        assert "<script>" not in html
        assert "\u202e" not in html


def test_a_recipe_says_what_the_letter_needs() -> None:
    recipe = {"result": "proven", "evidence": ["authserv"], "device": "phone", "token": "ikt", "root": "<1@x>"}

    assert enrol_facts(recipe) == {
        "result": "proven",
        "evidence": ("authserv",),
        "configured": (),
        "missing": (),
        "program": "",
        "device": "phone",
        "telegram": "",
        "address": "",
    }
