"""`intake status`: what is still to leave, how old it is, and until when its account makes it wait."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.handdesk import keep, put, store
from support.storefacts import MINUTE, NOW, outgoing, target, ticket

from intake.command import status
from intake.command.terminal import Screen
from routing.words import OutboxState, Purpose
from store import outbox
from store.engine import Database


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    async with store(tmp_path) as db:
        await keep(db, ticket(), targets=[target()])
        yield db


async def queued(db: Database) -> None:
    await put(db, NOW, outgoing(purpose=Purpose.WARNING), outgoing(purpose=Purpose.WARNING))
    await put(db, NOW + 10 * MINUTE, outgoing(), outgoing(channel="website"))
    await put(db, NOW, outgoing(held_reason="looks_like_note"), outgoing())
    async with db.transaction() as tx:
        await outbox.record_delivered(tx, {6: "250 ok"}, NOW)


async def test_the_queue_is_told_by_channel_and_purpose_with_its_oldest(db: Database) -> None:
    await queued(db)

    async with db.reading() as tx:
        queue = (await status.gather(tx, NOW + 30 * MINUTE))["queue"]

    assert [(row["channel"], row["purpose"], row["count"], row["oldest"]) for row in queue] == [
        ("mail", "answer", 1, NOW + 10 * MINUTE),
        ("mail", "warning", 2, NOW),
        ("website", "answer", 1, NOW + 10 * MINUTE),
    ]


async def test_a_person_reads_what_waits_and_why(db: Database) -> None:
    await queued(db)
    screen = Screen(io.StringIO(), is_json=False)
    async with db.reading() as tx:
        queue = (await status.gather(tx, NOW + 30 * MINUTE))["queue"]
    why = "30 in a minute is this account's pace"
    paced = {
        "mail": {"for_s": 42.0, "why": why, "answers_too": False},
        "other": {"for_s": 90.0, "why": "451 Server busy", "answers_too": True},
    }

    status._queue(screen, queue, paced, NOW + 30 * MINUTE)

    said = " ".join(screen.out.getvalue().split())  # type: ignore[attr-defined]
    assert "mail warning 2 30 min" in said
    assert "mail answer 1 20 min" in said
    assert f"mail is paced: only answers and assignments leave for another 42 s: {why}" in said
    assert "other is paced: nothing leaves for another 1 min: 451 Server busy" in said


async def test_what_did_not_leave_is_shown_with_the_servers_words(db: Database) -> None:
    await put(db, NOW, outgoing(), outgoing(), outgoing())
    async with db.transaction() as tx:
        await outbox.record_delivered(tx, {1: "250 ok"}, NOW)
        await outbox.record_failure(tx, 2, OutboxState.FAILED, "550 5.1.1 nobody here has that address", None)
    screen = Screen(io.StringIO(), is_json=False)
    async with db.reading() as tx:
        refused = (await status.gather(tx, NOW + MINUTE))["refused"]

    status._refused(screen, refused)

    said = " ".join(screen.out.getvalue().split())  # type: ignore[attr-defined]
    assert said.startswith("mail, answer, failed: 550 5.1.1 nobody here has that address")
    assert [row["state"] for row in refused] == ["failed"]
