"""Customers and their contacts: who writes from which address or number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, select, update

from routing.records import Contact, Customer, as_row
from store.engine import WANTED, Transaction
from store.schema import ContactRow, CustomerRow

CUSTOMER = CustomerRow.__table__  # type: ignore[attr-defined]
CONTACT = ContactRow.__table__  # type: ignore[attr-defined]


_BY_IDS = select(CUSTOMER).where(CUSTOMER.c.id.in_(WANTED))
_CONTACTS = select(CONTACT).where(CONTACT.c.address.in_(WANTED))
_CONTACTS_OF = select(CONTACT).where(CONTACT.c.customer.in_(WANTED)).order_by(CONTACT.c.first_seen_at)


async def by_ids(tx: Transaction, ids: Iterable[int]) -> dict[int, Customer]:
    async def read(wanted: list[int]) -> dict[int, Customer]:
        return {r["id"]: Customer(**r) for r in await tx.rows(_BY_IDS, {"wanted": wanted})}

    return await tx.once("customer", ids, read)


MAX_NAMED = 20  # customers of one name: more than one, and somebody must say which


async def named(tx: Transaction, names: Iterable[str]) -> dict[int, Customer]:
    """Customers who are called exactly so."""
    wanted = list(set(names))
    if not wanted:
        return {}
    statement = select(CUSTOMER).where(CUSTOMER.c.name.in_(wanted)).order_by(CUSTOMER.c.id).limit(MAX_NAMED)
    return {r["id"]: Customer(**r) for r in await tx.rows(statement)}


async def contacts(tx: Transaction, addresses: Iterable[str]) -> dict[str, Contact]:
    """Known contacts by address; unknown ones are left out."""

    async def read(wanted: list[str]) -> dict[str, Contact]:
        return {r["address"]: _contact(r) for r in await tx.rows(_CONTACTS, {"wanted": wanted})}

    return await tx.once("contact", addresses, read)


def _contact(row: Mapping[str, Any]) -> Contact:
    return Contact(**{**row, "is_verified": bool(row["is_verified"])})


async def contacts_of(tx: Transaction, customers: Iterable[int]) -> dict[int, list[Contact]]:
    """Every contact of some customers."""

    async def read(wanted: list[int]) -> dict[int, list[Contact]]:
        found: dict[int, list[Contact]] = {}
        for row in await tx.rows(_CONTACTS_OF, {"wanted": wanted}):
            found.setdefault(row["customer"], []).append(_contact(row))
        return found

    return {number: list(theirs) for number, theirs in (await tx.once("contacts", customers, read)).items()}


async def add(tx: Transaction, customers: Sequence[Customer], contacts: Sequence[Contact]) -> None:
    """Register customers and their first contacts. A contact that somebody else registered meanwhile stays his."""
    await tx.insert(CUSTOMER, [as_row(c) for c in customers])
    await tx.insert(CONTACT, [as_row(c) for c in contacts], keep_first=True)


async def grade(tx: Transaction, graded: Mapping[int, str]) -> None:
    """Write the classes that customers are of now."""
    await tx.many(
        update(CUSTOMER).where(CUSTOMER.c.id == bindparam("the_customer")).values(grade=bindparam("the_grade")),
        [{"the_customer": number, "the_grade": grade} for number, grade in graded.items()],
    )


async def change_contacts(tx: Transaction, contacts: Sequence[Contact]) -> None:
    """Write back where contacts ask for answers, and what agents say of them."""
    await tx.many(
        _CHANGE,
        [
            {
                "the_address": c.address,
                "the_reply_to": c.reply_to,
                "the_state": c.reply_to_state,
                "the_mark": c.spam_mark,
            }
            for c in contacts
        ],
    )


_CHANGE = (
    update(CONTACT)
    .where(CONTACT.c.address == bindparam("the_address"))
    .values(reply_to=bindparam("the_reply_to"), reply_to_state=bindparam("the_state"), spam_mark=bindparam("the_mark"))
)


async def record_complaints(tx: Transaction, addresses: Iterable[str], now: datetime) -> None:
    """Remember that these contacts reported a mail of ours as abuse."""
    wanted = list(set(addresses))
    if wanted:
        await tx.execute(update(CONTACT).where(CONTACT.c.address.in_(wanted)).values(complained_at=now))


async def mark_verified(tx: Transaction, addresses: Iterable[str]) -> None:
    """Remember that somebody trustworthy vouched for these addresses."""
    wanted = list(set(addresses))
    if wanted:
        await tx.execute(update(CONTACT).where(CONTACT.c.address.in_(wanted)).values(is_verified=True))
