"""Lists that agents ask for or are sent: read from the store when the mail is written, so that they are fresh.

A row of the outbox names its list: {"code": "list", "list": "mine" | "day" | "found" | "held" | "delivered" |
"report", "query": "…", "since": ISO time}. Whoever reads it sees his own tickets and those of his teams, no others.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from intake import dates
from intake.action_links import actions
from intake.cards import Stationery
from intake.compose_facts import share_used
from intake.compose_html import accent
from intake.compose_lists import ListGroup, ListMail, ListRow, list_mail
from intake.compose_words import clean_line
from intake.list_figures import figures_list
from intake.list_held import held_groups, held_list
from intake.list_reader import MAX_ROWS, MAX_SUBJECT, Reader, Worded, about, not_shown, teams_of, ticket_row
from intake.list_sent import sent_list
from routing.commands import CommandName
from routing.policy import ChannelPolicy
from routing.presence import ON
from routing.records import Target, Ticket
from routing.tokens import canary
from routing.words import TicketState
from store import agents, deadlines, listing
from store.engine import Transaction
from store.outbox import OutboxItem

CODE = "list"  # of a recipe that asks for one
NO_TICKET = 0  # a list's canary refers to no ticket
SOON = timedelta(minutes=30)  # at least that far is the full hour before which the first line counts


async def list_letter(
    tx: Transaction,
    item: OutboxItem,
    with_: Stationery,
    channel: ChannelPolicy,
    desk: Mapping[str, Any],
    now: datetime,
) -> bytes:
    """The whole mail. `desk`: what every mail to an agent begins with (`ToAgent`)."""
    agent = with_.policy.agents[item.agent or ""]
    language = dates.language_of(agent.language)
    reader = Reader(tx=tx, with_=with_, agent=agent, channel=channel, language=language, now=now)
    worded = await LISTS[str(item.recipe["list"])](reader, item.recipe)
    common = {**desk, "canary": canary(with_.keyring, NO_TICKET)}
    return list_mail(
        ListMail(
            **common,
            first=worded.first,
            colour=worded.colour,
            under=worded.under,
            groups=worded.groups,
            offers=reader.say("notice.actions"),
            actions=actions(worded.offers, item, with_, channel, language),
            last=reader.say("list.last.show"),
        )
    )


# ---- his own


async def _mine(reader: Reader, recipe: Mapping[str, Any]) -> Worded:
    """What waits for him by deadline, what waits for his customers, and what he still has to say a word about."""
    del recipe
    worded, held = await _open(reader), await held_groups(reader)
    _, theirs = worded["groups"]
    rest = (("theirs", len(theirs.rows)), ("held", sum(len(group.rows) for group in held)))
    return Worded(
        **{**worded, "groups": (*worded["groups"], *held)},
        under=reader.say_joined([reader.say(f"list.under.{name}", count=str(n)) for name, n in rest if n]),
        offers=(
            *(await _presence(reader)),
            CommandName.HELD,
            *([CommandName.REPORT] if reader.agent.is_supervisor else []),
        ),
    )


async def _presence(reader: Reader) -> tuple[CommandName, ...]:
    """How he may say that he goes, or that he is back."""
    state = (await agents.states(reader.tx)).get(reader.agent.name)
    return (CommandName.ON,) if state is not None and state.presence != ON else (CommandName.BREAK, CommandName.OFF)


async def _open(reader: Reader) -> dict[str, Any]:
    his = await listing.of_agent(reader.tx, reader.agent.name)
    promises = await deadlines.of_tickets(reader.tx, [t.id for t in his], only_open=True)
    first_of = {number: targets[0] for number, targets in promises.items() if targets}
    waiting = [t for t in his if t.state is TicketState.OPEN]
    others = [t for t in his if t.state is not TicketState.OPEN]
    due = [first_of[t.id] for t in waiting if t.id in first_of]
    is_late = any(t.due_at <= reader.now for t in due)
    return {
        "first": _first(reader, len(waiting), due),
        "colour": "red" if is_late else "calm",
        "groups": (
            _group(reader, "yours", waiting, first_of),
            _group(reader, "theirs", others, first_of),
        ),
    }


def _first(reader: Reader, count: int, due: Sequence[Target]) -> str:
    """`今天 12 件，1 件已逾時，3 件 10:00 前`."""
    if not count:
        return reader.say("list.first.none")
    parts = [reader.say("list.first.today", count=str(count))]
    late = sum(target.due_at <= reader.now for target in due)
    if late:
        parts.append(reader.say("list.first.late", count=str(late)))
    ahead = [target.due_at for target in due if target.due_at > reader.now]
    mark = _next_mark(reader)
    soon = sum(at <= mark for at in ahead)
    if soon:
        parts.append(reader.say("list.first.soon", count=str(soon), clock=_clock(reader, mark)))
    elif ahead:
        parts.append(reader.say("list.first.earliest", clock=_clock(reader, min(ahead))))
    return reader.say_joined(parts)


def _next_mark(reader: Reader) -> datetime:
    """The next full hour by his clock that is not just about to strike."""
    local = (reader.now + SOON).astimezone(dates.zone(reader.timezone))
    hour = local.replace(minute=0, second=0, microsecond=0)
    return hour if hour == local else hour + timedelta(hours=1)


def _clock(reader: Reader, at: datetime) -> str:
    return dates.deadline_clock(at, reader.timezone, reader.language, reader.now)


def _group(reader: Reader, name: str, his: Sequence[Ticket], first_of: Mapping[int, Target]) -> ListGroup:
    return ListGroup(
        caption=reader.say(f"list.caption.{name}"),
        columns=(reader.say("list.column.deadline"), reader.say("list.column.ticket")),
        rows=tuple(_by_deadline(reader, t, first_of.get(t.id)) for t in his[:MAX_ROWS]),
        below=not_shown(reader, len(his) - MAX_ROWS),
    )


def _by_deadline(reader: Reader, ticket: Ticket, target: Target | None) -> ListRow:
    state = _state(reader, ticket)
    if target is None:
        row = ticket_row(reader, ticket, lead=reader.say("list.no_deadline"))
    else:
        share = share_used(target.started_at, target.due_at, reader.now)
        left = dates.span(target.due_at - reader.now, reader.language)
        said = "notice.late" if target.due_at <= reader.now else "notice.left"
        row = ticket_row(
            reader,
            ticket,
            lead=_clock(reader, target.due_at),
            lead_under=reader.say(said, span=left),
            colour=accent(share),
        )
        state = state or reader.say(f"word.act.{target.kind}")
    return _with(row, about(reader, ticket, state))


def _state(reader: Reader, ticket: Ticket) -> str:
    """What is to be said of a ticket that does not simply wait for us."""
    if ticket.state is TicketState.OPEN:
        return ""
    if ticket.state is TicketState.WAITING and ticket.waits_until is not None:
        return reader.say("list.waits_until", moment=reader.near(ticket.waits_until))
    return reader.say(f"list.state.{ticket.state}")


def _with(row: ListRow, *under: str) -> ListRow:
    return ListRow(**{**{name: getattr(row, name) for name in ListRow.__dataclass_fields__}, "under": under})


# ---- what he looks for


async def _found(reader: Reader, recipe: Mapping[str, Any]) -> Worded:
    query = str(recipe.get("query", ""))
    teams = teams_of(reader.policy, reader.agent)
    seen = await listing.find(reader.tx, query, agent=reader.agent.name, teams=teams, limit=MAX_ROWS + 1)
    is_more, shown = len(seen) > MAX_ROWS, seen[:MAX_ROWS]
    key = "found_none" if not shown else "found_more" if is_more else "found"
    values = {"count": str(len(shown))} if shown else {}
    group = ListGroup(
        caption=reader.say("list.caption.found"),
        columns=(reader.say("list.column.state"), reader.say("list.column.ticket")),
        rows=tuple(_found_row(reader, ticket) for ticket in shown),
        below=reader.say("list.refine") if is_more else "",
    )
    return Worded(first=reader.say(f"list.first.{key}", query=clean_line(query, 40), **values), groups=(group,))


def _found_row(reader: Reader, ticket: Ticket) -> ListRow:
    holder = reader.policy.agents.get(ticket.agent or "")
    row = ticket_row(
        reader,
        ticket,
        lead=reader.say(f"list.state.{ticket.state}"),
        lead_under=holder.display_name if holder else reader.say("word.nobody"),
    )
    opened = reader.say("list.opened", moment=reader.near(ticket.opened_at))
    subject = clean_line(ticket.subject, MAX_SUBJECT)
    said = about(reader, ticket, opened)
    return _with(row, said, *([] if subject in said else [subject]))


LISTS: Mapping[str, Callable[[Reader, Mapping[str, Any]], Awaitable[Worded]]] = {
    "mine": _mine,
    "day": _mine,  # at the opening of a shift
    "found": _found,
    "held": held_list,
    "delivered": sent_list,
    "report": figures_list,
}
