"""Lessons: what agents have put right, with the words of the messages as they lie in the store.

Made anew at every start and after every correction, from the messages that are still there: of one that was erased
nothing is left to learn from.
"""

from __future__ import annotations

from intake.cards import messages_of
from routing.learned import MAX_LESSONS, Learned, Lesson, learned_from
from routing.rules import evidence_in
from store import corrections
from store.engine import Transaction


async def lessons(tx: Transaction) -> Learned:
    """Everything that was learned so far."""
    said = await corrections.latest(tx, MAX_LESSONS)
    words = await messages_of(tx, {one.message for one in said})
    return learned_from(
        Lesson(one, evidence_in(words[one.message])) for one in said if one.message in words and one.was != one.became
    )
