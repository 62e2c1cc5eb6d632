"""A supervisor's word on top of the file, from his mail to the store: asked back, confirmed, audited, told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from support.attackdesk import AttackedDesk, reply
from support.deskrun import KEYRING, mail, policy
from support.handdesk import store

from intake import texts_loader
from intake.snapshot import Snapshot
from routing.policy import Policy
from routing.records import Overlay
from routing.rewording import SAMPLES
from store import overlays


class Config:
    """As much of a configuration as a snapshot asks for."""

    is_demo = False

    def __init__(self, of: Policy) -> None:
        self.policy = of
        self.http = type("Http", (), {"public_url": ""})()


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[AttackedDesk]:
    async with store(tmp_path) as db:
        texts = texts_loader.load()
        rewordable = {key: texts.placeholders(key) for key in texts.keys() if key.startswith("ack.")}  # noqa: SIM118
        yield AttackedDesk(db, policy(rewordable=rewordable))


async def says(desk: AttackedDesk, words: str, who: str = "boss") -> None:
    await desk.takes(mail(words, From=f"{who}@firm.example", Subject="x", Message_ID=f"<{abs(hash(words))}@f.example>"))


async def asked(desk: AttackedDesk) -> Any:
    return [i for i in await desk.outbox("told") if i.recipe["code"] == "question"][-1]


async def said(desk: AttackedDesk) -> list[Overlay]:
    async with desk.db.reading() as tx:
        return await overlays.current(tx)


async def codes(desk: AttackedDesk) -> list[str]:
    return [i.recipe["code"] for i in await desk.outbox("told")]


async def test_a_typhoon_day_is_asked_back_and_counts_at_his_word(desk: AttackedDesk) -> None:
    await says(desk, "！放假 明天 desk")

    [letter] = await desk.leaves()
    assert letter.to == "boss@firm.example"
    assert "desk 11月24日（週二）全天放假" in letter.plain
    assert await said(desk) == []
    await desk.takes(reply(await asked(desk), "！好"))
    [row] = await said(desk)
    assert (row.kind, row.key, row.value, row.agent) == ("holiday", "desk/2026-11-24", {}, "boss")
    assert [e["day"] for e in await desk.why("holiday_said")] == ["desk/2026-11-24"]
    [letter] = await desk.leaves()
    assert "desk 11月24日（週二）全天放假" in letter.plain


async def test_a_text_is_shown_filled_in_and_then_used(desk: AttackedDesk) -> None:
    await says(desk, "!text ack.email en\n\nHello {greeting}, we have it: {ref}, by {deadline}.")

    [letter] = await desk.leaves()
    assert f"Hello {SAMPLES['greeting']}, we have it: {SAMPLES['ref']}, by {SAMPLES['deadline']}." in letter.plain
    await desk.takes(reply(await asked(desk), "!ok"))
    snapshot = Snapshot(Config(desk.policy), KEYRING, await said(desk))  # type: ignore[arg-type]
    texts = snapshot.stationery.texts
    assert (
        texts.say("ack.email", "en", greeting="Mei", ref="#1", deadline="9:00") == "Hello Mei, we have it: #1, by 9:00."
    )
    assert "Mei" in texts.say("ack.email", "zh-Hant", greeting="Mei", ref="#1", deadline="9:00")
    await says(desk, "!text ack.email en\nreset")
    await desk.takes(reply(await asked(desk), "!ok"))
    texts = Snapshot(Config(desk.policy), KEYRING, await said(desk)).stationery.texts  # type: ignore[arg-type]
    assert texts.say("ack.email", "en", greeting="M", ref="#1", deadline="9") == texts_loader.load().say(
        "ack.email", "en", greeting="M", ref="#1", deadline="9"
    )


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("!holiday someday", "bad_holiday"),
        ("!holiday 2026-11-01", "bad_holiday"),
        ("!text told.moved.head en\nhello", "no_such_text"),
        ("!text ack.email tlh\nhello", "no_such_text"),
        ("!text ack.email en", "no_words_for_text"),
        ("!text ack.email en\nhello {nobody}", "bad_placeholder"),
        ("!text ack.email en\nhello {ref.__class__}", "bad_placeholder"),
        ("!text ack.email en\nhello {", "bad_placeholder"),
        ("!text ack.email en\nhello {ref:>999999999}", "bad_placeholder"),
        ("!text ack.email en\nhello {ref!r}", "bad_placeholder"),
        ("!text ack.email en\nhello {ref:{deadline}}", "bad_placeholder"),
        ("!text ack.email en\n-- \nBoss\nboss@firm.example", "no_words_for_text"),
        ("!text ack.email en\n" + "x" * 4001, "no_words_for_text"),
    ],
)
async def test_what_cannot_be_done_is_said_and_nothing_is_asked(desk: AttackedDesk, words: str, code: str) -> None:
    await says(desk, words)

    assert await codes(desk) == [code]
    assert await said(desk) == []


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("!text ack.email en\nhello {customer}", ["{deadline}", "{greeting}", "{ref}"]),
        ("！範本 ack.hotline en\nhello {customer}", ["{hotline}"]),
        ("!text ack.where.chat en\nhello {customer}", ["沒有，請全部拿掉"]),
        ("!text ack.emial en\nhello", ["ack.chat、ack.chat_out_of_hours、", "ack.where.whatsapp。"]),
    ],
)
async def test_who_cannot_know_the_names_is_told_them(desk: AttackedDesk, words: str, names: list[str]) -> None:
    await says(desk, words)

    [letter] = await desk.leaves()
    told = " ".join(letter.plain.split())
    assert [name for name in names if name not in told] == []


@pytest.mark.parametrize("words", ["!holiday tomorrow", "!text ack.email en\nhello"])
async def test_who_is_no_supervisor_is_told_so(desk: AttackedDesk, words: str) -> None:
    await says(desk, words, who="chen")

    assert await codes(desk) == ["supervisors_only"]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (
            "Hello {greeting}: {ref}, {deadline}.\n\n-- \nBoss\nboss@firm.example",
            "Hello {greeting}: {ref}, {deadline}.",
        ),
        ("還原\n\n-- \nBoss\nboss@firm.example", ""),
        ("reset", ""),
    ],
)
async def test_a_supervisors_own_signature_is_no_customers_text(desk: AttackedDesk, words: str, text: str) -> None:
    await says(desk, f"!text ack.email en\n\n{words}")
    await desk.takes(reply(await asked(desk), "!ok"))

    assert [row.value for row in await said(desk)] == [{"text": text}]


async def test_what_was_declined_is_not_done(desk: AttackedDesk) -> None:
    await says(desk, "!holiday tomorrow")
    await desk.takes(reply(await asked(desk), "!no"))

    assert await said(desk) == []


async def test_a_text_that_does_not_fit_any_more_is_left_out(desk: AttackedDesk) -> None:
    row = Overlay(id=1, kind="text", key="ack.gone", language="en", value={"text": "x"}, agent="boss", at=desk.clock.at)

    snapshot = Snapshot(Config(desk.policy), KEYRING, [row])  # type: ignore[arg-type]

    assert snapshot.stationery.texts.has("ack.email")
