"""Attacks by mail on the agents' way out: nobody speaks for an agent (G8), and nothing internal leaves (G15).

Each is driven with raw octets from the mailbox to what would have left: nothing gets through, an event says why, and
the one whom it concerns is told at his own mailbox, never the attacker.
"""

from __future__ import annotations

import base64
import quopri
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.attackdesk import ATTACKER, RECEIVED, AttackedDesk, Letter, octets, reply, vouched
from support.deskrun import BORDER, KEYRING
from support.handdesk import store

from routing.tokens import canary
from store.outbox import OutboxItem
from store.tokens import TOKEN

MEI = "mei@example.com"
NOBODY = ()  # no evidence at all
PLAIN = "text/plain; charset=utf-8"


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[AttackedDesk]:
    async with store(tmp_path) as db:
        yield AttackedDesk(db)


async def held(desk: AttackedDesk, raw: bytes, why: str, told: str) -> Letter:
    """Attack: nothing leaves but one mail to the agent `told`, and the event says why. What he was told."""
    state = [(t.id, t.state) for t in await desk.tickets()]
    await desk.takes(raw)
    letters = await desk.leaves()

    assert [(letter.to, letter.purpose) for letter in letters] == [(f"{told}@firm.example", "told")]
    assert [e["why"] for e in await desk.why("reply_held")][-1:] == [why]
    assert [(t.id, t.state) for t in await desk.tickets()] == state
    assert ATTACKER not in letters[0].text
    return letters[0]


# ---- who speaks


async def test_the_honest_reply_does_leave(desk: AttackedDesk) -> None:
    """Else all the others would prove nothing."""
    item = await desk.opened()
    await desk.takes(reply(item))
    [letter] = await desk.leaves()

    assert (letter.to, letter.purpose, letter.mail["From"]) == (MEI, "answer", "客服 <support@firm.example>")
    assert letter.plain.startswith("您好，可以更正。")
    for internal in (item.recipe["token"], canary(KEYRING, 1001), f"{item.agent}@firm.example"):
        assert internal not in letter.text


FORGED_EVIDENCE = {
    "none": NOBODY,
    "no result": (RECEIVED,),
    "dmarc failed": (vouched("firm.example", result="fail"), RECEIVED),
    "failed beside a pass": (
        f"Authentication-Results: {BORDER}; dmarc=fail header.from=firm.example; dmarc=pass header.from=firm.example",
        RECEIVED,
    ),
    "below the border": (RECEIVED, vouched("firm.example")),
    "below the border, with a forged line of the border above it": (
        RECEIVED,
        vouched("firm.example"),
        RECEIVED,
    ),
    "above the border, by another server": (vouched("firm.example", by="mx.evil.example"), RECEIVED),
    "by a server whose name begins like ours": (vouched("firm.example", by=f"{BORDER}.evil.example"), RECEIVED),
    "our name in a comment": (
        f"Authentication-Results: mx.evil.example ({BORDER}); dmarc=pass header.from=firm.example",
        RECEIVED,
    ),
    "a pass in a comment": (
        f"Authentication-Results: {BORDER}; none (x; dmarc=pass header.from=firm.example)",
        RECEIVED,
    ),
    "a pass in quotes": (
        f'Authentication-Results: {BORDER}; spf=fail smtp.mailfrom="x; dmarc=pass header.from=firm.example"',
        RECEIVED,
    ),
    "a pass for the attacker's own domain": (vouched("evil.example"), RECEIVED),
    "a pass for a domain that ends like ours": (vouched("evil-firm.example"), RECEIVED),
    "a pass for a domain below ours": (vouched("out.firm.example"), RECEIVED),
    "a login of somebody else": (f"Authentication-Results: {BORDER}; auth=pass smtp.auth=boss@firm.example", RECEIVED),
    "no line of the border at all": (vouched("firm.example"),),
    "SPF of the return path alone": (
        f"Authentication-Results: {BORDER}; spf=pass smtp.mailfrom=firm.example",
        RECEIVED,
    ),
}


@pytest.mark.parametrize("evidence", FORGED_EVIDENCE.values(), ids=FORGED_EVIDENCE)
async def test_g8_a_forged_from_with_token_and_reference_is_held(desk: AttackedDesk, evidence: tuple[str, ...]) -> None:
    item = await desk.opened()

    await held(desk, reply(item, "Pay to this account.", evidence=evidence), "no_evidence", item.agent or "")


async def test_g8_without_a_token_of_his_the_agent_is_told_and_not_preached_to(desk: AttackedDesk) -> None:
    """Who knows his address could otherwise have the desk write to him what he likes, links and all."""
    raw = octets(
        RECEIVED,
        "From: chen@firm.example",
        "To: support@firm.example",
        "Subject: Your password expires",
        body="Log in at https://evil.example/login",
    )
    told = await held(desk, raw, "no_evidence", "chen")

    assert "evil.example" not in told.text
    assert "password" not in told.text


FORGED_FROM = {
    "two From headers, the attacker's first": [f"From: {ATTACKER}", "From: {agent}@firm.example"],
    "two From headers, the agent's first": ["From: {agent}@firm.example", f"From: {ATTACKER}"],
    "two From headers, both the agent's": ["From: {agent}@firm.example", "From: {agent}@firm.example"],
    "two addresses in one": [f"From: {{agent}}@firm.example, {ATTACKER}"],
    "two pairs of brackets": [f"From: <{{agent}}@firm.example> <{ATTACKER}>"],
    "a bare CR between two": [f"From: {{agent}}@firm.example\rFrom: {ATTACKER}"],
    "the agent's address as the name": [f"From: {{agent}}@firm.example <{ATTACKER}>"],
    "the agent's address as a quoted name": [f'From: "{{agent}}@firm.example" <{ATTACKER}>'],
    "the agent's address as an encoded name": [f"From: =?utf-8?q?{{agent}}=40firm=2Eexample?= <{ATTACKER}>"],
    "name and address encoded together": ["From: =?utf-8?q?Chen_<{agent}=40firm=2Eexample>?="],
    "the agent's address in a comment": [f"From: {ATTACKER} ({{agent}}@firm.example)"],
    "the agent's display name": [f"From: Chen <{ATTACKER}>"],
    "the agent as Sender and Reply-To": [
        f"From: {ATTACKER}",
        "Sender: {agent}@firm.example",
        "Reply-To: {agent}@firm.example",
    ],
    "a look-alike domain": ["From: {agent}@firrn.example"],
    "a letter of another script": ["From: {agent}@fіrm.example"],
    "full-width letters of our domain": ["From: {agent}@evil.example＠firm.example"],
}


@pytest.mark.parametrize("lines", FORGED_FROM.values(), ids=FORGED_FROM)
async def test_g8_whatever_is_done_to_from_nothing_reaches_the_customer(desk: AttackedDesk, lines: list[str]) -> None:
    """With the token, the reference, and the border's word for every domain involved."""
    item = await desk.opened()
    agent = item.agent or ""
    froms = [line.replace("{agent}", agent) for line in lines]
    passes = [vouched(d) for d in ("firm.example", "evil.example", "firrn.example", "fіrm.example")]
    await desk.takes(
        octets(
            *passes,
            RECEIVED,
            *froms,
            f"To: support+{item.recipe['token']}@firm.example",
            "Subject: Re: x",
            f"In-Reply-To: {item.mail_id}",
            "Message-ID: <evil@evil.example>",
            body="Pay to this account.",
        )
    )
    letters = await desk.leaves()

    assert await desk.outbox("answer") == []
    assert all(letter.to != MEI for letter in letters)
    assert (await desk.tickets())[0].state == "open"
    told = await desk.told()
    assert "reply_held" in told or "token_misused" in told


async def test_g8_an_agent_who_has_left_is_a_stranger_with_a_token(desk: AttackedDesk) -> None:
    item = await desk.opened()
    remaining = {name: a for name, a in desk.policy.agents.items() if name != item.agent}
    desk.policy = replace(desk.policy, agents=remaining, version="p2")
    await desk.takes(reply(item, "Pay to this account."))
    letters = await desk.leaves()

    assert await desk.outbox("answer") == []
    assert all(letter.to != MEI for letter in letters)
    assert "token_misused" in await desk.told()


@pytest.mark.parametrize("channel", ["mail", "second"])
async def test_g8_an_agents_reply_that_is_played_again_leaves_once(desk: AttackedDesk, channel: str) -> None:
    item = await desk.opened()
    raw = reply(item)
    await desk.takes(raw)
    first = await desk.leaves()
    desk.clock.at += timedelta(hours=1)
    await desk.takes(desk.arrival(raw, channel), desk.arrival(b"X-Hop: 2\r\n" + raw, channel))

    assert [letter.to for letter in first] == [MEI]
    assert await desk.leaves() == []
    assert (await desk.messages("outcome"))[-2:] == ["copy", "copy"]


# ---- tokens


async def test_g8_another_agents_token_is_of_no_use(desk: AttackedDesk) -> None:
    item = await desk.opened()
    told = await held(desk, reply(item, "我來回", From="boss@firm.example"), "not_your_ticket", "boss")

    assert "#1001" not in told.text
    assert "王美玲" not in told.text


@pytest.mark.parametrize("write", [str.upper, str.lower, str.title])
async def test_g8_a_token_counts_in_upper_and_lower_case(desk: AttackedDesk, write: Any) -> None:
    item = await desk.opened()
    await desk.takes(reply(item, To=write(f"support+{item.recipe['token']}@firm.example")))

    assert [letter.to for letter in await desk.leaves()] == [MEI]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"revoked_at": timedelta(0)}, "revoked"),
        ({"expires_at": timedelta(minutes=-1)}, "expired"),
    ],
)
async def test_g8_a_revoked_or_expired_token_is_of_no_use(
    desk: AttackedDesk, change: dict[str, timedelta], why: str
) -> None:
    item = await desk.opened()
    [(column, since)] = change.items()
    async with desk.db.transaction() as tx:
        await tx.execute(
            TOKEN.update().where(TOKEN.c.token == item.recipe["token"]),
            {column: desk.clock.at + since},
        )
    await held(desk, reply(item), why, item.agent or "")


@pytest.mark.parametrize("days", [0, 29, 31])
async def test_g8_a_closed_ticket_is_not_answered_by_its_old_token(desk: AttackedDesk, days: int) -> None:
    item = await desk.opened()
    await desk.takes(reply(item, "！結案"))
    await desk.leaves()
    desk.clock.at += timedelta(days=days)

    await held(desk, reply(item, "還有一件事"), "closed_ticket" if days < 30 else "closed_long", item.agent or "")


INVENTED_TOKENS = {
    "one bit changed": lambda t: t[:-2] + ("a" if t[-2] != "a" else "b") + t[-1],
    "cut short": lambda t: t[:-1],
    "made longer": lambda t: t + "a",
    "all a": lambda t: "ikt" + "a" * 28,
    "an id instead of it": lambda t: "1001",
    "nothing": lambda t: "",
}


@pytest.mark.parametrize("invent", INVENTED_TOKENS.values(), ids=INVENTED_TOKENS)
async def test_g8_an_invented_token_is_none(desk: AttackedDesk, invent: Any) -> None:
    item = await desk.opened()
    raw = reply(item, To=f"support+{invent(item.recipe['token'])}@firm.example")

    await held(desk, raw, "no_token", item.agent or "")


async def test_g8_a_genuine_token_that_the_store_does_not_know_is_none(desk: AttackedDesk) -> None:
    """A restored or another desk with the same key."""
    item = await desk.opened()
    async with desk.db.transaction() as tx:
        await tx.execute(TOKEN.delete())

    await held(desk, reply(item), "no_token", item.agent or "")


@pytest.mark.parametrize("where", ["Subject", "X-Token", "Message-ID", "body", "display name"])
async def test_g8_a_token_anywhere_but_in_an_address_is_none(desk: AttackedDesk, where: str) -> None:
    item = await desk.opened()
    address = f"support+{item.recipe['token']}@firm.example"
    changes: dict[str, str | None] = {"To": "support@firm.example"}
    if where == "display name":
        changes["To"] = f'"{address}" <support@firm.example>'
    elif where == "Message-ID":
        changes["Message-ID"] = f"<{item.recipe['token']}@firm.example>"
    elif where != "body":
        changes[where] = f"Re: {address}"
    await desk.takes(reply(item, address if where == "body" else "您好", **changes))

    assert await desk.outbox("answer") == []
    assert [e["why"] for e in await desk.why("reply_held")] == ["no_token"]


@pytest.mark.parametrize("sender", [ATTACKER, MEI, "li@other.example"])
@pytest.mark.parametrize("has_reference", [True, False])
async def test_g8_a_token_address_in_a_strangers_or_a_customers_hand_is_an_address(
    desk: AttackedDesk, sender: str, has_reference: bool
) -> None:
    item = await desk.opened()
    raw = reply(
        item,
        "！結案\n\nPay to this account.",
        evidence=(vouched(sender.rpartition("@")[2]), RECEIVED),
        From=sender,
        In_Reply_To=item.mail_id if has_reference else None,
    )
    await desk.takes(raw)
    letters = await desk.leaves()

    assert "token_misused" in await desk.told()
    assert await desk.outbox("answer") == []
    assert {letter.purpose for letter in letters} <= {"assignment", "update", "acknowledgement", "told"}
    assert {letter.to for letter in letters if letter.purpose == "acknowledgement"} <= {sender}
    # Whose address it is hears which account wrote to it, at his own mailbox; a customer's words are no news of that.
    told = [(letter.to, "Pay to" in letter.mail.as_string()) for letter in letters if letter.purpose == "told"]
    assert told == ([] if sender == MEI else [(f"{item.agent}@firm.example", False)])
    assert [t.state for t in await desk.tickets()] == ["open"] * len(await desk.tickets())
    is_hers = sender == MEI and has_reference
    assert await desk.messages("ticket") == [1001, 1001 if is_hers else 1002]


# ---- references


async def test_g8_the_right_token_without_a_reference_is_held(desk: AttackedDesk) -> None:
    item = await desk.opened()

    told = await held(desk, reply(item, In_Reply_To=None), "no_reference", item.agent or "")
    assert told.ticket == 1001


async def two_tickets(desk: AttackedDesk) -> tuple[OutboxItem, OutboxItem]:
    """Two customers' tickets in one agent's hands."""
    team = replace(desk.policy.teams["desk"], members=("chen",))
    desk.policy = replace(desk.policy, teams={"desk": team}, version="p2")
    first = await desk.opened()
    second = await desk.opened("From: li@other.example", "Message-ID: <b@other.example>", domain="other.example")
    assert (first.ticket, second.ticket, first.agent, second.agent) == (1001, 1002, "chen", "chen")
    return first, second


@pytest.mark.parametrize("by", ["In-Reply-To", "References", "both", "canary", "nearest"])
async def test_g8_one_tickets_token_with_anothers_reference_never_reaches_the_wrong_customer(
    desk: AttackedDesk, by: str
) -> None:
    """An address book offered the token of 1001 for a reply in 1002."""
    one, other = await two_tickets(desk)
    changes: dict[str, str | None] = {"To": f"support+{one.recipe['token']}@firm.example"}
    words = "這是給李先生的"
    if by == "canary":
        changes["In-Reply-To"] = None
        words += f"\n\n> {canary(KEYRING, 1002)}"
    elif by == "References":
        changes |= {"In-Reply-To": None, "References": other.mail_id}
    elif by == "both":
        changes["References"] = other.mail_id
    elif by == "nearest":
        changes["References"] = f"{one.mail_id} {other.mail_id}"
    await desk.takes(reply(other, words, **changes))
    letters = await desk.leaves()

    assert [letter.to for letter in letters if letter.purpose == "answer"] == []
    assert [e["why"] for e in await desk.why("reply_held")] == ["no_reference"]


async def test_g8_two_tokens_in_one_mail_reach_the_one_that_is_answered_or_nobody(desk: AttackedDesk) -> None:
    one, other = await two_tickets(desk)
    both = f"support+{one.recipe['token']}@firm.example, support+{other.recipe['token']}@firm.example"
    await desk.takes(reply(other, "這是給李先生的", To=both))
    letters = await desk.leaves()

    assert {letter.to for letter in letters if letter.purpose == "answer"} <= {"li@other.example"}
    assert MEI not in {letter.to for letter in letters}


# ---- where addresses cannot vary, and where no border is named


def changed(desk: AttackedDesk, **facts: Any) -> None:
    channels = dict(desk.policy.channels)
    channels["mail"] = replace(channels["mail"], **facts)
    desk.policy = replace(desk.policy, channels=channels, version="changed")


async def test_g8_a_token_in_a_reference_needs_evidence_and_its_agent_all_the_same(desk: AttackedDesk) -> None:
    changed(desk, token_in="references")
    item = await desk.opened()
    assert item.mail_id == f"<{item.recipe['token']}@firm.example>"
    to_desk = {"To": "support@firm.example"}

    await held(desk, reply(item, evidence=NOBODY, **to_desk), "no_evidence", item.agent or "")
    await held(desk, reply(item, From="boss@firm.example", **to_desk), "not_your_ticket", "boss")
    await held(
        desk, reply(item, In_Reply_To="<ikt" + "a" * 28 + "@firm.example>", **to_desk), "no_token", item.agent or ""
    )
    await held(
        desk, reply(item, In_Reply_To=item.mail_id.replace("@firm", "@evil"), **to_desk), "no_token", item.agent or ""
    )
    await desk.takes(reply(item, From=ATTACKER, evidence=(vouched("evil.example"), RECEIVED), **to_desk))
    assert all(letter.to != MEI for letter in await desk.leaves())
    await desk.takes(reply(item, Message_ID="<last@firm.example>", **to_desk))
    [letter] = await desk.leaves()
    assert letter.to == MEI
    assert item.recipe["token"] not in letter.text


@pytest.mark.parametrize("by", ["In-Reply-To", "References"])
async def test_g8_two_tokens_in_the_references_reach_the_one_that_is_answered_or_nobody(
    desk: AttackedDesk, by: str
) -> None:
    changed(desk, token_in="references")
    one, other = await two_tickets(desk)
    named = {"In-Reply-To": other.mail_id, "References": f"{other.mail_id} {one.mail_id}"}
    if by == "References":
        named = {"In-Reply-To": None, "References": f"{one.mail_id} {other.mail_id}"}
    await desk.takes(reply(other, "這是給李先生的", To="support@firm.example", **named))

    assert {letter.to for letter in await desk.leaves() if letter.purpose == "answer"} <= {"li@other.example"}


@pytest.mark.parametrize(
    "evidence",
    [
        (RECEIVED, vouched("firm.example")),
        (RECEIVED, vouched("firm.example"), RECEIVED),
        (vouched("firm.example", by="mx.evil.example"), RECEIVED),
        (vouched("firm.example"),),
    ],
)
async def test_g8_without_a_named_border_only_what_stands_above_every_server_counts(
    desk: AttackedDesk, evidence: tuple[str, ...]
) -> None:
    changed(desk, border_host="")
    item = await desk.opened()

    await held(desk, reply(item, evidence=evidence), "no_evidence", item.agent or "")


async def test_g8_without_an_authserv_id_nobody_vouches(desk: AttackedDesk) -> None:
    changed(desk, authserv_id="")
    await desk.takes(octets(RECEIVED, f"From: {MEI}", "To: support@firm.example"))
    await desk.leaves()
    [item] = await desk.outbox("assignment")

    for evidence in ((vouched("firm.example"), RECEIVED), (vouched("firm.example", by=""), RECEIVED)):
        await held(desk, reply(item, evidence=evidence), "no_evidence", item.agent or "")


# ---- what leaves


def internals(desk: AttackedDesk, item: OutboxItem) -> dict[str, str]:
    token = item.recipe["token"]
    return {
        "token address": f"support+{token}@firm.example",
        "bare token": token,
        "token in upper case": token.upper(),
        "canary": canary(KEYRING, 1001),
        "our Message-ID": item.mail_id,
        "card": "聯絡方式：mei@example.com",
        "private address": f"{item.agent}@firm.example",
        "private address in full width": f"{item.agent}＠firm.example",
    }


SPREAD = {
    "whole": lambda text: text,
    "wrapped": lambda text: f"{text[: len(text) // 2]}\n{text[len(text) // 2 :]}",
    "quoted and wrapped": lambda text: f"> {text[: len(text) // 2]}\n> {text[len(text) // 2 :]}",
    "with zero-width spaces": lambda text: "\u200b".join(text),
    "with soft hyphens": lambda text: "\u00ad".join(text),
    "with no-break spaces": lambda text: "\u00a0".join(text),
}
INTERNAL = [
    *("token address", "bare token", "token in upper case", "canary", "our Message-ID", "card"),
    *("private address", "private address in full width"),
]


@pytest.mark.parametrize("what", INTERNAL)
@pytest.mark.parametrize("spread", SPREAD.values(), ids=SPREAD)
async def test_g15_something_internal_in_the_middle_of_the_words_holds_them(
    desk: AttackedDesk, what: str, spread: Any
) -> None:
    item = await desk.opened()
    words = f"您好，\n\n請看 {spread(internals(desk, item)[what])} 謝謝。\n\n順頌商祺"

    if what.startswith("private") and spread is SPREAD["whole"]:
        await desk.takes(reply(item, words))
        [letter] = await desk.leaves()
        # Exactly replaced, so nothing is asked.
        assert (letter.to, "請看 support@firm.example 謝謝" in letter.text) == (MEI, True)
        return
    told = await held(desk, reply(item, words), "internal_survived", item.agent or "")
    assert "順頌商祺" in told.plain


def encoded(words: str, how: str) -> tuple[str, bytes]:
    """(Content-Type with what follows it, body) of words in some wrapping."""
    page = f"<html><body><p>{words.replace(chr(10), '<br>')}</p></body></html>"
    if how == "base64":
        return f"{PLAIN}\r\nContent-Transfer-Encoding: base64", base64.encodebytes(words.encode())
    if how == "quoted-printable":
        return f"{PLAIN}\r\nContent-Transfer-Encoding: quoted-printable", quopri.encodestring(words.encode())
    if how == "utf-16":
        return 'text/plain; charset="utf-16"\r\nContent-Transfer-Encoding: base64', base64.encodebytes(
            words.encode("utf-16")
        )
    if how == "HTML only":
        return "text/html; charset=utf-8", page.encode()
    if how == "HTML only, in spans":
        return "text/html; charset=utf-8", page.replace("k", "<span>k</span>").encode()
    if how == "HTML beside empty plain text":
        return multipart("alternative", (PLAIN, "\r\n"), ("text/html; charset=utf-8", page))
    if how == "second text part":
        return multipart("mixed", (PLAIN, "您好。"), (PLAIN, words))
    raise AssertionError(how)


def multipart(kind: str, *parts: tuple[str, str]) -> tuple[str, bytes]:
    body = "".join(f"--b\r\nContent-Type: {k}\r\n\r\n{text}\r\n" for k, text in parts) + "--b--\r\n"
    return f'multipart/{kind}; boundary="b"', body.encode()


HOW = ["base64", "quoted-printable", "utf-16", "HTML only", "HTML only, in spans", "HTML beside empty plain text"]


@pytest.mark.parametrize("how", [*HOW, "second text part"])
@pytest.mark.parametrize("what", ["token address", "canary", "card"])
async def test_g15_no_encoding_hides_it(desk: AttackedDesk, how: str, what: str) -> None:
    item = await desk.opened()
    kind, body = encoded(f"您好，\n請看 {internals(desk, item)[what]} 謝謝。", how)

    await held(desk, reply(item, body, kind=kind), "internal_survived", item.agent or "")


async def test_g15_what_the_html_part_alone_shows_does_not_leave(desk: AttackedDesk) -> None:
    item = await desk.opened()
    page = f"<p>您好</p><p>{internals(desk, item)['token address']} {canary(KEYRING, 1001)} 客戶資料</p>"
    kind, body = multipart("alternative", (PLAIN, "您好"), ("text/html; charset=utf-8", page))
    await desk.takes(reply(item, body, kind=kind))

    for letter in await desk.leaves():
        assert "客戶資料" not in letter.text or letter.to != MEI
        assert "ikc-" not in letter.text or letter.to != MEI


@pytest.mark.parametrize(
    "quote",
    [
        "於 2026年11月23日 週一 14:06，客服 #1001 <{address}> 寫道：\n> {all}",
        "-----Original Message-----\nFrom: 客服 #1001 <{address}>\nSent: Monday\nTo: Chen\nSubject: [#1001]\n\n{all}",
        "On Mon, 23 Nov 2026 at 14:06, 客服 #1001 <{address}>\nwrote:\n\n> {all}\n> {all}",
        "__________\n寄件者: 客服 #1001 <{address}>\n寄件日期: 2026年\n收件者: Chen\n主旨: x\n\n{all}",
    ],
)
async def test_g15_what_is_only_quoted_stays_behind(desk: AttackedDesk, quote: str) -> None:
    item = await desk.opened()
    inside = internals(desk, item)
    everything = "\n> ".join(inside.values())
    await desk.takes(
        reply(item, "您好，可以更正。\n\n" + quote.format(address=inside["token address"], all=everything))
    )
    [letter] = await desk.leaves()

    assert (letter.to, letter.plain.splitlines()[0]) == (MEI, "您好，可以更正。")
    for internal in inside.values():
        assert internal not in letter.text


async def test_g15_the_agents_whole_mail_sent_back_by_any_client_does_not_leave(desk: AttackedDesk) -> None:
    """His client quotes without marks, headings or anything: what he was sent is known line by line."""
    item = await desk.opened()
    assignment = next(m for m in desk.keeper.kept if m.message_id == item.mail_id)
    ours = (await desk._letter(assignment)).plain
    await desk.takes(reply(item, f"您好，可以更正。\n\n{ours}"))
    letters = await desk.leaves()

    for letter in letters:
        if letter.to == MEI:
            assert "internal" not in letter.text
            assert "ikc-" not in letter.text
            assert "ikt" not in letter.text


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("message/rfc822", ""),
        ("application/octet-stream", "fwd.eml"),
        ("application/octet-stream", "FWD.EML"),
        ("application/vnd.ms-outlook", "x.msg"),
        ("application/ms-tnef", "winmail.dat"),
        ("application/octet-stream", "winmail.dat"),
        ("text/plain", "fwd.eml"),
        ("message/global", ""),
    ],
)
async def test_g15_a_mail_inside_a_file_holds_the_reply(desk: AttackedDesk, kind: str, name: str) -> None:
    item = await desk.opened()
    inner = "From: support@firm.example\r\nSubject: [#1001]\r\n\r\n客戶資料"
    named = f'; name="{name}"\r\nContent-Disposition: attachment; filename="{name}"' if name else ""
    kind, body = multipart("mixed", (PLAIN, "您好，請看附件。"), (f"{kind}{named}", inner))

    await held(desk, reply(item, body, kind=kind), "internal_survived", item.agent or "")


async def test_g15_a_text_file_with_the_canary_in_it_holds_the_reply(desk: AttackedDesk) -> None:
    """Our own mail saved as text or as a page, and attached."""
    item = await desk.opened()
    page = f"<p>card {canary(KEYRING, 1001)}</p>"
    for kind, name in (("text/html", "mail.html"), ("text/plain", "mail.txt"), ("application/octet-stream", "m.txt")):
        whole, body = multipart(
            "mixed",
            (PLAIN, f"您好，請看附件 {name}。"),
            (f'{kind}; name="{name}"\r\nContent-Disposition: attachment; filename="{name}"', page),
        )
        await held(desk, reply(item, body, kind=whole), "internal_survived", item.agent or "")


async def test_g15_the_subject_of_the_reply_goes_nowhere(desk: AttackedDesk) -> None:
    item = await desk.opened()
    token = internals(desk, item)["token address"]
    await desk.takes(reply(item, Subject=f"Re: [#1001] {token} {canary(KEYRING, 1001)} 內部"))
    [letter] = await desk.leaves()

    assert (letter.to, letter.mail["Subject"]) == (MEI, "Re: 營業稅")
    assert "ikt" not in letter.text
    assert "ikc-" not in letter.text


async def test_g15_the_agents_own_address_in_his_signature_is_masked(desk: AttackedDesk) -> None:
    item = await desk.opened()
    await desk.takes(reply(item, f"您好，可以更正。\n\n-- \n陳\n{item.agent}@firm.example"))
    [letter] = await desk.leaves()

    assert letter.to == MEI
    assert f"{item.agent}@firm.example" not in letter.text


async def test_g15_headers_of_the_agents_client_go_nowhere(desk: AttackedDesk) -> None:
    item = await desk.opened()
    lines = {"X-Originating-IP": "[10.0.0.7]", "User-Agent": "Thunderbird", "Cc": "boss@firm.example", "Bcc": "x@y"}
    await desk.takes(reply(item, **lines))
    [letter] = await desk.leaves()

    ours = ["From", "To", "Subject", "Date", "Message-ID", "In-Reply-To", "References", "X-Intake-Loop"]
    form = ["MIME-Version", "Content-Type", "Content-Transfer-Encoding"]
    assert sorted(letter.mail.keys()) == sorted([*ours, *form])
    for private in ("10.0.0.7", "Thunderbird", "boss", str(item.agent) + "@"):
        assert private not in letter.text


async def test_g15_what_was_held_earlier_is_not_released_by_a_word_about_something_else(desk: AttackedDesk) -> None:
    """A note that he never meant to send, a later reply that is held for another reason, and then `!send`."""
    item = await desk.opened()
    await desk.takes(reply(item, "內部：這位客戶欠費，先不要理他"))
    await desk.takes(reply(item, f"您好 {canary(KEYRING, 1001)}"))
    await desk.leaves()
    await desk.takes(reply(item, "！寄出"))

    assert all("欠費" not in letter.text for letter in await desk.leaves() if letter.to == MEI)


async def test_g8_a_customer_commands_nothing(desk: AttackedDesk) -> None:
    await desk.opened()
    await desk.takes(
        octets(
            vouched("example.com"),
            RECEIVED,
            f"From: {MEI}",
            "To: support@firm.example",
            "In-Reply-To: <a@example.com>",
            body="！結案\n！轉給 boss\n!send\n\n寄出",
        )
    )
    letters = await desk.leaves()

    assert [letter.purpose for letter in letters] == ["update"]
    assert (await desk.ticket()).state == "open"


async def test_g9_a_reply_of_five_megabytes_is_held(desk: AttackedDesk) -> None:
    item = await desk.opened()
    began = time.process_time()

    await held(desk, reply(item, "好" * 1_700_000), "incomplete", item.agent or "")
    assert time.process_time() - began < 5
