"""Deciding, on PostgreSQL: what test_decide.py shows on SQLite in detail, once through on the other engine."""

from __future__ import annotations

from support.databases import Postgres
from support.deskrun import RunningDesk, bounce, call, chat, deliver, mail
from support.storefacts import NOW

from store import events


async def test_mail_chat_and_phone_are_decided_and_answered(postgres: Postgres) -> None:
    desk = RunningDesk(await postgres.migrated_database())
    one = mail(Message_ID="<a@example.com>")
    await desk.takes(one, mail("還有", In_Reply_To="<a@example.com>"), desk.arrival(one, "second"))
    [assignment] = await desk.outbox("assignment")
    await desk.takes(await desk.reply_to(assignment, "您好，可以更正。"))
    [answer] = await desk.outbox("answer")
    await deliver(desk.db, answer, NOW)
    await desk.takes(
        bounce(answer.mail_id),
        desk.arrival(chat("v1", "1", "你好"), "website"),
        desk.arrival(call("hangup", cause="cancel"), "hotline"),
        desk.arrival(call("newCall"), "hotline"),
        desk.arrival(b"\xff no json", "website"),
    )

    assert await desk.messages("outcome", "ticket", "state", "is_alone") == [
        ("opened", 1001, "done", False),
        ("added", 1001, "done", False),
        ("copy", 1001, "done", False),
        ("answered", 1001, "done", False),
        ("bounced", 1001, "done", False),
        ("opened", 1003, "done", False),
        ("call", 1002, "done", False),
        ("call", 1002, "done", False),
        ("opened", 1004, "parked", False),
    ]
    [target] = await desk.targets(1001)
    assert target.is_open
    async with desk.db.transaction() as tx:
        sealed = await events.seal(tx)
        assert await events.verify(tx) == (sealed, None)
    await desk.db.close()
