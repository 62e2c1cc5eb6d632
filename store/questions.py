"""Questions: what waits for an agent's word before anything is done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import bindparam, select, update

from routing.records import Question, as_row
from store.engine import Transaction
from store.schema import QuestionRow

QUESTION = QuestionRow.__table__  # type: ignore[attr-defined]


def _question(row: Mapping[str, Any]) -> Question:
    return Question(**{**row, "data": orjson.loads(row["data"])})


async def by_ids(tx: Transaction, ids: Iterable[int]) -> dict[int, Question]:
    wanted = list(set(ids))
    if not wanted:
        return {}
    return {r["id"]: _question(r) for r in await tx.rows(select(QUESTION).where(QUESTION.c.id.in_(wanted)))}


async def waiting(tx: Transaction, now: datetime, agent: str = "", limit: int = 200) -> list[Question]:
    """Those that nobody has answered and that still count, oldest first."""
    statement = select(QUESTION).where(QUESTION.c.answered_at.is_(None), QUESTION.c.expires_at > now)
    if agent:
        statement = statement.where(QUESTION.c.agent == agent)
    return [_question(r) for r in await tx.rows(statement.order_by(QUESTION.c.id).limit(limit))]


async def add(tx: Transaction, questions: Sequence[Question]) -> None:
    await tx.insert(QUESTION, [{**as_row(q), "data": orjson.dumps(q.data).decode()} for q in questions])


async def answer(tx: Transaction, questions: Sequence[Question]) -> None:
    """Record answers, once: what was answered before stays as it is."""
    await tx.many(
        update(QUESTION)
        .where(QUESTION.c.id == bindparam("the_id"), QUESTION.c.answered_at.is_(None))
        .values(answered_at=bindparam("the_time"), answer=bindparam("the_answer")),
        [{"the_id": q.id, "the_time": q.answered_at, "the_answer": q.answer} for q in questions],
    )
