"""Reply tokens as they were given out: the store knows what a token is for, when it ends, and who revoked it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import bindparam, select, update

from routing.records import as_row
from routing.tokens import TokenRecord
from store.engine import Transaction
from store.schema import TokenRow

TOKEN = TokenRow.__table__  # type: ignore[attr-defined]


async def by_tokens(tx: Transaction, tokens: Iterable[str]) -> dict[str, TokenRecord]:
    wanted = list(set(tokens))
    if not wanted:
        return {}
    return {r["token"]: TokenRecord(**r) for r in await tx.rows(select(TOKEN).where(TOKEN.c.token.in_(wanted)))}


async def add(tx: Transaction, records: Sequence[TokenRecord]) -> None:
    await tx.insert(TOKEN, [as_row(r) for r in records], keep_first=True)


async def revoke(tx: Transaction, ticket: int, agent: str, now: datetime) -> None:
    """End every token of an agent for a ticket."""
    await tx.execute(
        update(TOKEN)
        .where(TOKEN.c.ticket == ticket, TOKEN.c.agent == agent, TOKEN.c.revoked_at.is_(None))
        .values(revoked_at=now)
    )


async def use(tx: Transaction, tokens: Sequence[str], now: datetime) -> None:
    """Single-use tokens that were used: once."""
    await tx.many(
        update(TOKEN)
        .where(TOKEN.c.token == bindparam("the_token"), TOKEN.c.used_at.is_(None))
        .values(used_at=bindparam("the_time")),
        [{"the_token": token, "the_time": now} for token in tokens],
    )


async def revoke_of_agent(tx: Transaction, agent: str, now: datetime) -> int:
    """End every token of a leaver; the number of them."""
    done = await tx.execute(
        update(TOKEN).where(TOKEN.c.agent == agent, TOKEN.c.revoked_at.is_(None)).values(revoked_at=now)
    )
    return int(done.rowcount)


async def all_of_ticket(tx: Transaction, ticket: int) -> list[TokenRecord]:
    return [TokenRecord(**r) for r in await tx.rows(select(TOKEN).where(TOKEN.c.ticket == ticket))]
