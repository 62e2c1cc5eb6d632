"""What of an agent's answers has left: what did not arrive stands first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from intake import dates
from intake.compose_lists import ListGroup, ListRow
from intake.list_reader import MAX_ROWS, Reader, Worded, about, ticket_row
from routing.words import OutboxState
from store import answers
from store.answers import SentAnswer

_STATE = {
    OutboxState.DELIVERED: "arrived",
    OutboxState.STORED: "stored",
    OutboxState.FAILED: "failed",
    OutboxState.UNKNOWN: "unknown",
}
_ARRIVED = frozenset({"arrived", "stored"})


async def sent_list(reader: Reader, recipe: Mapping[str, Any]) -> Worded:
    """Since `since`, else since his day began."""
    since = datetime.fromisoformat(recipe["since"]) if recipe.get("since") else _this_day(reader)
    sent, is_more = await answers.sent(reader.tx, reader.agent.name, since, MAX_ROWS * 2)
    arrived = [one for one in sent if _state(one) in _ARRIVED]
    others = [one for one in sent if _state(one) not in _ARRIVED]
    return Worded(
        first=_first(reader, sent),
        colour="amber" if others else "calm",
        groups=(
            _group(reader, "not_arrived", others, is_more=False),
            _group(reader, "arrived", arrived, is_more=is_more),
        ),
    )


def _this_day(reader: Reader) -> datetime:
    local = reader.now.astimezone(dates.zone(reader.timezone))
    return local.replace(hour=0, minute=0, second=0, microsecond=0)


def _state(one: SentAnswer) -> str:
    return _STATE.get(one.item.state, "pending")


_OTHERWISE = {"failed": "not_arrived", "unknown": "unsure", "pending": "on_its_way"}


def _first(reader: Reader, sent: Sequence[SentAnswer]) -> str:
    """`今天送達 9 封，1 封沒有送到`."""
    counts = Counter(_state(one) for one in sent)
    parts = [reader.say("list.first.arrived", count=str(sum(counts[state] for state in _ARRIVED)))]
    parts += [
        reader.say(f"list.first.{key}", count=str(counts[state])) for state, key in _OTHERWISE.items() if counts[state]
    ]
    return reader.say_joined(parts)


def _group(reader: Reader, name: str, sent: Sequence[SentAnswer], *, is_more: bool) -> ListGroup:
    left = len(sent) - MAX_ROWS
    return ListGroup(
        caption=reader.say(f"list.caption.{name}"),
        columns=(reader.say("list.column.state"), reader.say("list.column.ticket")),
        rows=tuple(_row(reader, one) for one in sent[:MAX_ROWS]),
        below=reader.say("list.more", count=f"{max(left, 1)}{'+' if is_more else ''}") if left > 0 or is_more else "",
    )


def _row(reader: Reader, one: SentAnswer) -> ListRow:
    item, state = one.item, _state(one)
    at = item.delivered_at or item.answered_at or item.created_at
    clock = dates.deadline_clock(at, reader.timezone, reader.language, reader.now)
    lead = reader.say(f"list.sent.{state}", **({"clock": clock} if state == "arrived" else {}))
    in_time = "" if one.is_late is None else reader.say("list.sent.late" if one.is_late else "list.sent.on_time")
    colour = "red" if one.is_late or state == "failed" else "amber" if state == "unknown" else ""
    _, _, value = item.address.partition(":")
    who = reader.say("list.to", who=value) if item.mail_id else ""
    copy = reader.say("list.sent.copy") if item.recipe.get("copy") else ""
    if one.ticket is None:
        return ListRow(lead=lead, lead_under=in_time, colour=colour, under=(who,))
    row = ticket_row(reader, one.ticket, lead=lead, lead_under=in_time, colour=colour)
    under = (about(reader, one.ticket), " · ".join(part for part in (who, copy) if part))
    error = item.error or "" if state in ("failed", "unknown") else ""
    return ListRow(
        lead=row.lead,
        lead_under=row.lead_under,
        colour=row.colour,
        ticket=row.ticket,
        show=row.show,
        name=row.name,
        under=tuple(line for line in (*under, error) if line),
    )
