"""Enrolments: what agents' mails have shown, and what probes of our own servers have."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import delete, func, select

from routing.records import Enrolment, Probe, as_row
from routing.tokens import purpose_of_enrolment
from routing.words import Evidence
from store.engine import Transaction
from store.schema import EnrolmentRow, ProbeRow, TokenRow

ENROLMENT = EnrolmentRow.__table__  # type: ignore[attr-defined]
PROBE = ProbeRow.__table__  # type: ignore[attr-defined]
_BOUND = Evidence.TELEGRAM_ID.value
TOKEN = TokenRow.__table__  # type: ignore[attr-defined]


async def of_agents(tx: Transaction, agents: Iterable[str]) -> dict[str, list[Enrolment]]:
    """What the mails of these agents have shown, the latest first; an agent of whom nothing is known is absent."""
    wanted = list(set(agents))
    if not wanted:
        return {}
    statement = select(ENROLMENT).where(ENROLMENT.c.agent.in_(wanted), ENROLMENT.c.evidence != _BOUND)
    statement = statement.order_by(ENROLMENT.c.last_seen_at.desc())
    found: dict[str, list[Enrolment]] = {}
    for row in await tx.rows(statement):
        found.setdefault(row["agent"], []).append(Enrolment(**row))
    return found


async def bound(
    tx: Transaction, *, addresses: Iterable[str] = (), agents: Iterable[str] = ()
) -> list[tuple[str, str, str]]:
    """Accounts that were shown to be agents', the latest first: (agent, address, channel). By either."""
    asked = ENROLMENT.c.address.in_(list(addresses)) | ENROLMENT.c.agent.in_(list(agents))
    statement = select(ENROLMENT.c.agent, ENROLMENT.c.address, ENROLMENT.c.channel)
    statement = statement.where(ENROLMENT.c.evidence == _BOUND, asked).order_by(ENROLMENT.c.last_seen_at.desc())
    return [(r["agent"], r["address"], r["channel"]) for r in await tx.rows(statement)]


async def put(tx: Transaction, rows: Sequence[Enrolment]) -> None:
    """Write rows down, in place of those for the same agent, address, channel and evidence."""
    key = ("agent", "address", "channel", "evidence")
    await tx.insert(ENROLMENT, [as_row(row) for row in rows], replace_at=key)


async def forget_elsewhere(tx: Transaction, agent: str, own: Iterable[str]) -> int:
    """Forget the addresses that are not (or no longer) the agent's; how many rows that were. `own`: "mailto:…"."""
    done = await tx.execute(delete(ENROLMENT).where(ENROLMENT.c.agent == agent, ENROLMENT.c.address.not_in(list(own))))
    return int(done.rowcount)


async def next_serial(tx: Transaction, agent: str) -> int:
    """The serial number of the agent's next welcome: no two of his tokens are the same."""
    last = await tx.scalar(select(func.max(TOKEN.c.serial)).where(TOKEN.c.purpose == purpose_of_enrolment(agent)))
    return int(last or 0) + 1


async def welcomed(tx: Transaction, agents: Iterable[str]) -> dict[str, datetime]:
    """When each of these agents was last sent a welcome."""
    purposes = {purpose_of_enrolment(name): name for name in agents}
    if not purposes:
        return {}
    statement = select(TOKEN.c.purpose, func.max(TOKEN.c.issued_at).label("at"))
    statement = statement.where(TOKEN.c.purpose.in_(list(purposes))).group_by(TOKEN.c.purpose)
    return {purposes[r["purpose"]]: r["at"] for r in await tx.rows(statement)}


async def probes(tx: Transaction, kind: str) -> dict[str, Probe]:
    """The probe of each channel, of one kind."""
    return {r["channel"]: Probe(**r) for r in await tx.rows(select(PROBE).where(PROBE.c.kind == kind))}


async def ask(tx: Transaction, probe: Probe) -> Probe:
    """A probe is about to be sent: as it now stands. The answer to the one before it is kept until there is another."""
    before = (await probes(tx, probe.kind)).get(probe.channel)
    asked = replace(probe, seen_at=before.seen_at, result=before.result) if before else probe
    await tx.insert(PROBE, [as_row(asked)], replace_at=("channel", "kind"))
    return asked


async def answer(tx: Transaction, seen: Sequence[Probe]) -> None:
    """Write down how probes came in. One that was sent again meanwhile keeps its new name."""
    for one in seen:
        await tx.execute(
            PROBE.update()
            .where(PROBE.c.channel == one.channel, PROBE.c.kind == one.kind, PROBE.c.nonce == one.nonce)
            .values(seen_at=one.seen_at, result=one.result)
        )
