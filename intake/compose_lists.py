"""A list by mail: a first line that says it all, and below the mark a row for each thing, as a phone shows it.

Pure. Everything in a list is internal: each block carries the canary. Whatever a stranger wrote is cleaned here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from intake import compose_html as html
from intake import mailbytes
from intake.compose_agent import with_commands
from intake.compose_facts import MARK, Action, ToAgent
from intake.compose_letter import MAX_NAME, agent_headers, plain_block, plain_pairs, two_parts
from intake.compose_words import clean_line, columns, escape, pad, wrap

MAX_ABOUT = 200  # characters of a line under a row
MAX_WHOLE = 12  # columns of a lead that no line end cuts through
LEAD = 96  # pixels of the column of leads
MAX_CELL = 60  # characters of a cell of a table of figures


@dataclass(frozen=True, kw_only=True, slots=True)
class ListRow:
    """One thing. What is left of a name stands first on a telephone: when, or what became of it."""

    lead: str  # "10:00", "✓ 14:02"
    lead_under: str = ""  # "剩 40 分"
    colour: str = ""  # of the lead: calm | amber | red; "" for none
    ticket: int | None = None
    show: str = ""  # "mailto:…" that brings the ticket; "" for none
    name: str = ""  # whose it is, or what it is about
    under: tuple[str, ...] = ()  # lines below: what kind of matter, what to do
    quoted: str = ""  # somebody's own words, one line of them


@dataclass(frozen=True, kw_only=True, slots=True)
class ListGroup:
    """Rows of one kind; or figures, where `table` is there."""

    caption: str
    columns: tuple[str, str] = ("", "")  # over the lead, over the rest
    rows: tuple[ListRow, ...] = ()
    below: str = ""  # what is not shown
    table: tuple[tuple[str, ...], ...] = ()  # the titles first


@dataclass(frozen=True, kw_only=True, slots=True)
class ListMail(ToAgent):
    """A list, worded; groups without rows are not shown."""

    first: str  # the subject and the first line
    colour: str = "calm"
    under: str = ""  # what else there is, quietly below the first line
    groups: tuple[ListGroup, ...] = ()
    offers: str = ""  # over the actions
    actions: tuple[Action, ...] = ()  # what he may do from here
    last: str = ""  # the last line, small


def list_mail(facts: ListMail) -> bytes:
    """The whole mail, CRLF line ends. A list begins a conversation of its own."""
    subject = clean_line(facts.first, 150)
    groups = [group for group in facts.groups if group.rows or group.table]
    headers = agent_headers(facts, subject, None, b"")
    return mailbytes.message(
        headers, two_parts(_plain(facts, subject, groups), _page(facts, subject, groups), (), facts.message_id)
    )


# ---------- plain ----------


def _plain(facts: ListMail, first: str, groups: list[ListGroup]) -> str:
    end = f" · {facts.canary}" if facts.canary else ""
    blocks = [wrap(first + end), *([wrap(facts.under)] if facts.under else []), MARK]
    for group in groups:
        body = _plain_table(group.table) if group.table else "\n".join(map(_plain_row, group.rows))
        if group.below:
            body += f"\n\n{wrap(group.below, '  ', '  ')}"
        blocks.append(plain_block(group.caption, facts.canary, body))
    if facts.actions:
        typed = plain_pairs((a.typed, a.does) for a in facts.actions)
        blocks.append(plain_block(facts.offers, facts.canary, typed))
    if facts.last:
        blocks.append(wrap(facts.last))
    return "\n\n".join(blocks) + "\n"


def _plain_row(row: ListRow) -> str:
    lead = " · ".join(part for part in (row.lead, row.lead_under) if part)
    lines = [wrap(" · ".join(part for part in (_called(row), lead) if part), "  ", "    ")]
    lines += [wrap(clean_line(line, MAX_ABOUT), "    ", "    ") for line in row.under]
    if row.quoted:
        lines.append(wrap(clean_line(row.quoted, MAX_ABOUT), "    > ", "    > "))
    return "\n".join(lines)


def _called(row: ListRow) -> str:
    number = f"#{row.ticket}" if row.ticket is not None else ""
    return " ".join(part for part in (number, clean_line(row.name, MAX_NAME)) if part)


def _plain_table(table: tuple[tuple[str, ...], ...]) -> str:
    cleaned = [[clean_line(cell, MAX_CELL) for cell in row] for row in table]
    widths = [max(columns(row[i]) for row in cleaned) for i in range(len(cleaned[0]))]
    return "\n".join(
        "  " + "  ".join(pad(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cleaned
    )


# ---------- HTML ----------


def _page(facts: ListMail, first: str, groups: list[ListGroup]) -> str:
    canary = html.canary(facts.canary)
    blocks = [html.head(facts.colour, first, canary, [escape(facts.under)]), html.rule(MARK)]
    for group in groups:
        if group.table:
            titles, *rows = group.table
            body = html.table(titles, [_cells(row) for row in rows])
        else:
            body = html.table(group.columns, [_row(row) for row in group.rows], LEAD)
        below = f'<div style="padding-top:6px">{escape(group.below)}</div>' if group.below else ""
        blocks.append(html.block(group.caption, canary, body + below))
    if facts.actions:
        offered = "<br>".join(html.action(a.typed, a.does, a.mailto) for a in facts.actions)
        blocks.append(html.block(facts.offers, canary, offered))
    if facts.last:
        blocks.append(html.small(facts.last))
    return html.page(facts.language, first, blocks)


def _cells(row: Iterable[str]) -> list[str]:
    return [escape(clean_line(cell, MAX_CELL)) for cell in row]


def _row(row: ListRow) -> list[str]:
    lead = _whole(row.lead, html.coloured(row.lead, row.colour) if row.colour else escape(row.lead))
    number = f"<b>#{row.ticket}</b>" if row.ticket is not None else ""
    if number and row.show.startswith("mailto:"):
        number = f'<a href="{escape(row.show)}">{number}</a>'
    name = escape(clean_line(row.name, MAX_NAME))
    lines = [" ".join(part for part in (number, name) if part)]
    lines += [_quiet(with_commands(html.dotted(clean_line(line, MAX_ABOUT)))) for line in row.under if line]
    if row.quoted:
        lines.append(_quiet(f"<i>{escape(clean_line(row.quoted, MAX_ABOUT))}</i>"))
    under = f"<br>{_quiet(_whole(row.lead_under))}" if row.lead_under else ""
    return [f"{lead}{under}", "<br>".join(line for line in lines if line)]


def _whole(text: str, shown: str = "") -> str:
    """A short text, or the HTML that shows it, in one piece."""
    shown = shown or escape(text)
    return f'<span style="white-space:nowrap">{shown}</span>' if columns(text) <= MAX_WHOLE else shown


def _quiet(shown: str) -> str:
    return f'<span class="q" style="{html.QUIET};font-size:13px">{shown}</span>'
