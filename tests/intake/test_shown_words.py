"""Which words an agent is shown who has not had the ticket before: the customer's last, and whose they are."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.attackdesk import RECEIVED, AttackedDesk, Letter, octets, reply, vouched
from support.deskrun import mail, texts
from support.handdesk import store

from intake.shown import TOLD
from routing.records import Presence
from store import agents

MEI = "From: 王美玲 <mei@example.com>"
TO = "To: support@firm.example"
FIRST, LAST = "請問營業稅怎麼申報？", "還有，勞保要怎麼加？"
NOT_VERIFIED = "⚠ 未通過驗證"


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[AttackedDesk]:
    async with store(tmp_path) as db:
        yield AttackedDesk(db)


async def written_again(desk: AttackedDesk, *, is_proven: bool = True) -> tuple[str, str]:
    """A ticket whose customer wrote, was answered and wrote again: (who has it, the other)."""
    item = await desk.opened()
    await desk.takes(reply(item, "您好，每單月十五日前申報。"))
    await desk.leaves()
    top = [vouched("example.com")] if is_proven else [vouched("example.com", result="fail")]
    again = octets(*top, RECEIVED, MEI, TO, "Message-ID: <b@example.com>", "In-Reply-To: <a@example.com>", body=LAST)
    await desk.takes(again)
    await desk.leaves()
    holder = str(item.agent)
    return holder, {"chen": "lin", "lin": "chen"}[holder]


async def handed_over(desk: AttackedDesk, holder: str, other: str) -> Letter:
    item = (await desk.outbox("update"))[-1]
    await desk.takes(reply(item, f"！轉給 {other}"))
    [letter] = [one for one in await desk.leaves() if one.to == f"{other}@firm.example"]
    return letter


async def taken_over(desk: AttackedDesk, holder: str, other: str) -> Letter:
    away = mail(f"！不在 {holder} 到 12/31", From="boss@firm.example", Subject="x", Message_ID="<away@f>")
    await desk.takes(away)
    await desk.leaves()
    question = (await desk.outbox("told"))[-1]
    await desk.takes(reply(question, "！好"))
    [letter] = [one for one in await desk.leaves() if one.to == f"{other}@firm.example"]
    return letter


async def shown(desk: AttackedDesk, holder: str, other: str) -> Letter:
    await desk.takes(mail("！看 1001", From=f"{other}@firm.example", Subject="x", Message_ID="<show@f>"))
    [letter] = await desk.leaves()
    return letter


async def rescued(desk: AttackedDesk, holder: str, other: str) -> Letter:
    """The holder is away and the deadline is near: the desk gives it to somebody else by itself."""
    async with desk.db.transaction() as tx:
        await agents.present(tx, {holder: Presence(state="off", since=desk.clock.at)})
    desk.clock.at = max(t.rescue_at for t in await desk.targets(1001) if t.is_open and t.rescue_at is not None)
    await desk.does_duties()
    [letter] = [one for one in await desk.leaves() if one.to == f"{other}@firm.example"]
    return letter


WAYS = pytest.mark.parametrize("way", [handed_over, taken_over, shown, rescued])


def words_of(letter: Letter) -> str:
    return letter.plain.partition("以下僅供內部")[0]


@WAYS
async def test_it_is_the_customers_last_words_with_what_was_said_before(desk: AttackedDesk, way) -> None:  # type: ignore[no-untyped-def]
    letter = await way(desk, *await written_again(desk))

    assert LAST in words_of(letter)
    assert FIRST not in words_of(letter)
    assert FIRST in letter.plain
    assert "每單月十五日前申報" in letter.plain


@WAYS
@pytest.mark.parametrize("is_proven", [True, False])
async def test_whose_words_they_are_is_said_of_these_and_not_of_the_first(  # type: ignore[no-untyped-def]
    desk: AttackedDesk, way, is_proven: bool
) -> None:
    """A thread that began with a verified mail may be gone on with by a forged one."""
    holder, other = await written_again(desk, is_proven=is_proven)
    told = (await desk.outbox("update"))[-1].recipe["standing"]

    letter = await way(desk, holder, other)

    assert (told == "verified", "⚠" in letter.plain) == (is_proven, not is_proven)


@pytest.mark.parametrize(("words", "state"), [("您好，可以。", "已回覆"), ("！結案", "已結案")])
async def test_a_ticket_that_is_shown_says_how_it_stands_and_whose_it_is(
    desk: AttackedDesk, words: str, state: str
) -> None:
    item = await desk.opened()
    await desk.takes(reply(item, words))
    await desk.leaves()

    letter = await shown(desk, str(item.agent), "boss")

    assert letter.plain.splitlines()[0].startswith(f"{state} · 王美玲")
    assert f"由 {str(item.agent).capitalize()} 負責" in letter.plain


@pytest.mark.parametrize("is_proven", [True, False])
async def test_a_message_made_a_ticket_of_its_own_is_believed_as_far_as_it_was(
    desk: AttackedDesk, is_proven: bool
) -> None:
    holder, other = await written_again(desk, is_proven=is_proven)
    await handed_over(desk, holder, other)
    item = (await desk.outbox("assignment"))[-1]

    await desk.takes(reply(item, "！分案"))

    [_, split] = await desk.tickets()
    assert (item.agent, split.standing) == (other, "verified" if is_proven else "unverified")


def test_what_a_story_tells_is_what_the_log_knows_and_has_its_sentence() -> None:
    documented = (Path(__file__).parents[2] / "docs" / "events.md").read_text(encoding="utf-8")

    assert [kind for kind in sorted(TOLD) if f"`{kind}`" not in documented] == []
    assert [kind for kind in sorted(TOLD) if not texts().has(f"story.{kind}")] == []
