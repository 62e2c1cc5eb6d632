"""Action links: a command in the subject of an empty mail, at an address that is good for one deed, once."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from html import unescape
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from support.deskrun import RunningDesk, mail
from support.handdesk import stationery, store

from intake.action_links import mailto
from intake.letters import outbound
from routing.words import Outcome
from store.outbox import OutboxItem


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[RunningDesk]:
    async with store(tmp_path) as db:
        yield RunningDesk(db)


async def links(desk: RunningDesk, item: OutboxItem) -> dict[str, tuple[str, str]]:
    """{typed: (address, subject)} of the links in a mail of ours, as a mail program reads them."""
    async with desk.db.reading() as tx:
        sent = await outbound(tx, item, stationery(desk.policy), desk.clock.at, None)
    import email
    from email import policy as email_policy

    page = email.message_from_bytes(sent.body, policy=email_policy.default).get_body(("html",))  # type: ignore[attr-defined]
    found = re.findall(r'<a href="(mailto:[^"]*)"><b>([^<]*)</b></a>', page.get_content())
    urls = {typed: urlsplit(unescape(href)) for href, typed in found}
    assert all(url.geturl().isascii() and "body" not in parse_qs(url.query) for url in urls.values())
    return {typed: (unquote(url.path), parse_qs(url.query)["subject"][0]) for typed, url in urls.items()}


def followed(item: OutboxItem, link: tuple[str, str], words: str = "", **headers: str) -> bytes:
    """The mail that a mail program writes for a link, from the agent's own account."""
    facts = {"From": f"{item.agent}@firm.example", "To": link[0], "Subject": link[1]}
    return mail(words, **{**facts, "Message_ID": f"<link.{abs(hash((link, words)))}@firm.example>", **headers})


async def opened(desk: RunningDesk) -> OutboxItem:
    await desk.takes(mail(Message_ID="<c1@example.com>"))
    return (await desk.outbox("assignment"))[-1]


async def codes(desk: RunningDesk) -> list[str]:
    return [item.recipe["code"] for item in await desk.outbox("told")]


async def test_a_link_closes_the_ticket_without_a_reference(desk: RunningDesk) -> None:
    item = await opened(desk)
    link = (await links(desk, item))["！結案"]

    await desk.takes(followed(item, link))

    assert link[1] == "!close [#1001]"
    assert (await desk.ticket()).closed_reason == f"closed by {item.agent}"
    assert (await desk.messages("outcome"))[-1] == Outcome.NOTED.value
    assert await desk.outbox("answer") == []


async def test_a_signature_below_nothing_is_nothing(desk: RunningDesk) -> None:
    item = await opened(desk)
    link = (await links(desk, item))["！結案"]

    await desk.takes(followed(item, link, f"-- \n{(item.agent or '').capitalize()}\n誠信財稅"))

    assert (await desk.ticket()).state == "closed"


@pytest.mark.parametrize("batch", [1, 50])
async def test_g8_a_link_works_once(desk: RunningDesk, batch: int) -> None:
    desk.batch = batch
    item = await opened(desk)
    link = (await links(desk, item))["！結案"]
    again = followed(item, link, Message_ID="<again@firm.example>")

    await desk.takes(followed(item, link), await desk.reply_to(item, "！重開"), again)

    assert (await desk.ticket()).state == "open"
    assert "link_used" in await codes(desk)


@pytest.mark.parametrize(
    ("subject", "words"),
    [
        ("!close [#1001]", "王小姐您好，已更正。"),  # words for a customer at an address for one deed
        ("!spam [#1001]", ""),
        ("!close now and tell him [#1001]", "x"),
        ("Re: !close [#1001]", ""),
        ("", ""),
        ("", "!spam"),
        ("!send", ""),
        ("!to lin", ""),
    ],
)
async def test_g8_a_links_address_is_good_for_its_own_deed_alone(desk: RunningDesk, subject: str, words: str) -> None:
    item = await opened(desk)
    address, _ = (await links(desk, item))["！結案"]

    await desk.takes(followed(item, (address, subject), words))

    ticket = await desk.ticket()
    assert (ticket.state, ticket.agent) == ("open", item.agent)
    assert await desk.outbox("answer") == []
    assert (await codes(desk))[-1] == "link_changed"


async def test_g8_somebody_elses_link_does_nothing(desk: RunningDesk) -> None:
    item = await opened(desk)
    link = (await links(desk, item))["！結案"]
    other = "lin" if item.agent == "chen" else "chen"

    await desk.takes(followed(item, link, From=f"{other}@firm.example"))

    assert (await desk.ticket()).state == "open"
    assert await codes(desk) == ["not_your_ticket"]


async def test_g8_a_link_from_an_unproven_account_does_nothing_and_the_agent_hears_which_it_was(
    desk: RunningDesk,
) -> None:
    item = await opened(desk)
    link = (await links(desk, item))["！結案"]
    own, private = f"{item.agent}@firm.example", "private@phone.example"

    await desk.takes(
        mail("", vouched=False, From=own, To=link[0], Subject=link[1], Message_ID="<u1@firm.example>"),
        mail("", From=private, To=link[0], Subject=link[1], Message_ID="<u2@phone.example>"),
    )

    told = [(i.agent, i.recipe["code"], i.recipe["detail"]) for i in await desk.outbox("told")]
    assert told == [(item.agent, "no_evidence", own), (item.agent, "wrong_account", private)]
    assert {t.state for t in await desk.tickets()} == {"open"}


async def test_each_time_he_hears_that_his_telephone_wrote_from_another_account(desk: RunningDesk) -> None:
    """After the first time that account is a contact of the desk's; a customer who has our mail writes words."""
    item = await opened(desk)
    link = (await links(desk, item))["！結案"]
    private = {"From": "chen.private@example.net", "vouched": False}

    for n, words in enumerate(["", "", "您好，請問好了嗎？"]):
        subject = "Re: 營業稅" if words else link[1]
        raw = mail(words, **{"To": link[0], "Subject": subject, "Message_ID": f"<w{n}@example.net>", **private})  # type: ignore[arg-type]
        await desk.takes(raw)

    assert await codes(desk) == ["wrong_account", "wrong_account"]
    assert (await desk.tickets())[0].state == "open"


async def test_g8_a_link_ends_with_its_time_and_with_the_ticket_being_handed_over(desk: RunningDesk) -> None:
    item = await opened(desk)
    link = (await links(desk, item))["！結案"]
    other = "lin" if item.agent == "chen" else "chen"

    await desk.takes(await desk.reply_to(item, f"！轉給 {other}"), followed(item, link))
    state = (await desk.ticket()).state
    desk.clock.at += timedelta(days=31)
    await desk.takes(followed(item, link, Message_ID="<late@firm.example>"))

    assert (state, (await desk.ticket()).state) == ("open", "open")
    assert (await codes(desk))[-1] == "expired"


async def test_what_waits_for_a_word_is_let_go_by_a_link(desk: RunningDesk) -> None:
    item = await opened(desk)
    await desk.takes(await desk.reply_to(item, "備註：客戶已補件，請見附件。"))
    [told] = await desk.outbox("told")
    link = (await links(desk, told))["！寄出"]
    before = [i.state for i in await desk.outbox("answer")]

    await desk.takes(followed(told, link))

    words = [(i.state, i.recipe["words"]) for i in await desk.outbox("answer") if i.state == "pending"]
    assert before == ["held"]
    assert words == [("pending", "備註：客戶已補件，請見附件。")]


async def test_a_link_without_a_ticket_needs_evidence_alone(desk: RunningDesk) -> None:
    item = await opened(desk)
    link = (await links(desk, item))["！我的"]

    await desk.takes(followed(item, link))

    assert link == ("support@firm.example", "!mine")
    assert [i.recipe.get("list") for i in await desk.outbox("told")] == ["mine"]


@pytest.mark.parametrize(
    ("subject", "words"),
    [
        ("Re: 營業稅", "！結案"),  # a command in the text counts as ever
        ("！結案", ""),
        ("!close [#1001]", "\n\n"),
    ],
)
async def test_a_reply_may_have_its_command_in_the_subject_too(desk: RunningDesk, subject: str, words: str) -> None:
    item = await opened(desk)

    await desk.takes(await desk.reply_to(item, words, Subject=subject))

    assert (await desk.ticket()).state == "closed"


async def test_a_subject_is_no_command_where_something_is_written(desk: RunningDesk) -> None:
    item = await opened(desk)

    await desk.takes(await desk.reply_to(item, "王小姐您好，可以更正。", Subject="!close [#1001]"))

    [answer] = await desk.outbox("answer")
    assert answer.recipe["words"] == "王小姐您好，可以更正。"
    assert (await desk.ticket()).state == "answered"


async def test_a_customers_subject_is_no_command(desk: RunningDesk) -> None:
    await desk.takes(mail("", Subject="!close [#1001]", Message_ID="<c9@example.com>"))

    assert [t.state for t in await desk.tickets()] == ["open"]


def test_a_link_is_ascii_whatever_stands_in_it() -> None:
    assert mailto("support+ikt@firm.example", "!close [#7]") == (
        "mailto:support%2Bikt@firm.example?subject=!close%20%5B%237%5D"
    )
    assert mailto("", "!mine") == ""
