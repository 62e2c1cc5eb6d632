"""The table of deeds: every command, and what it does.

To add one: its words in `routing/commands.py`, a line here, its function in the module of its subject, and the texts
`action.NAME` and `action.typed_NAME` (`!help` lists it by itself).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from routing.absences import asks_away, wrong_absence
from routing.addressing import copies_to, no_address, no_reply_to, replies_to, shows_recipients
from routing.closing import closes
from routing.commands import CommandName as Name
from routing.consulting import cannot_consult, consults
from routing.days_off import asks_for_day, no_such_day
from routing.deed import Act, Below, Deed, Place
from routing.handing_over import cannot_hand_over, hands_over
from routing.helping import helps
from routing.joining import joins, nothing_to_join
from routing.linking import cannot_be_same, in_no_matter, is_apart, is_same
from routing.looking import (
    asks_for_held,
    asks_for_mine,
    asks_for_report,
    asks_to_find,
    no_such_span,
    not_shown,
    nothing_to_find,
    shows,
)
from routing.marking import is_junk, is_no_junk
from routing.merging import cannot_merge, merges
from routing.papers import names_nothing, ticks_off
from routing.presence import comes, goes, rests, wrong_break
from routing.reclassifying import complains, names_kind, names_topic, unknown_accused, unknown_kind, unknown_topic
from routing.recording import cannot_record, records
from routing.reopening import not_closed, reopens
from routing.rewording import shows_text, wrong_text
from routing.splitting import cannot_split, splits
from routing.undoing import undoes
from routing.urgency import unclear_urgency, urges
from routing.waiting import cannot_wait, waits


def _of_the_desk(
    do: Callable[[Act], str],
    why_not: Callable[[Act], str] = lambda act: "",
    *,
    for_supervisors: bool = False,
    takes_argument: bool = True,
) -> Deed:
    """What concerns no ticket, wherever it is written: words below it come back, for who knows whom they are meant."""
    return Deed(
        why_not=why_not,
        before=do,
        below=Below.BACK,
        place=Place.ANYWHERE,
        not_with=frozenset({Name.SEND}),
        for_supervisors=for_supervisors,
        takes_argument=takes_argument,
    )


def _no_question(act: Act) -> str:
    """`!ok` and `!no` answer a question of ours at its own address (`routing/confirmed.py`): here nothing was asked."""
    return "no_question"


DEEDS: Mapping[Name, Deed] = {
    Name.NOTE: Deed(below=Below.INSIDE, not_with=frozenset({Name.SEND})),
    Name.CLOSE: Deed(after=closes, takes_argument=False),
    Name.TO: Deed(
        why_not=cannot_hand_over,
        before=hands_over,
        below=Below.INSIDE,
        not_with=frozenset({Name.CLOSE, Name.SEND}),
    ),
    Name.SEND: Deed(takes_argument=False),  # `routing/speaking.py`: it is about the words themselves
    Name.UNDO: Deed(before=undoes, below=Below.BACK, is_alone=True, takes_argument=False),
    Name.REOPEN: Deed(
        why_not=not_closed, before=reopens, opens=True, not_with=frozenset({Name.CLOSE}), takes_argument=False
    ),
    Name.CC: Deed(why_not=no_address, before=copies_to, after=shows_recipients),
    Name.REPLY_TO: Deed(why_not=no_reply_to, before=replies_to, after=shows_recipients),
    Name.WAIT: Deed(why_not=cannot_wait, after=waits, not_with=frozenset({Name.CLOSE})),
    Name.CONSULT: Deed(
        why_not=cannot_consult,
        before=consults,
        below=Below.INSIDE,
        not_with=frozenset({Name.TO, Name.CLOSE, Name.SEND, Name.RECORD}),
    ),
    Name.URGENT: Deed(why_not=unclear_urgency, after=urges),
    Name.TOPIC: Deed(why_not=unknown_topic, before=names_topic),
    Name.KIND: Deed(why_not=unknown_kind, after=names_kind, not_with=frozenset({Name.COMPLAINT})),
    Name.COMPLAINT: Deed(why_not=unknown_accused, after=complains),
    Name.GOT: Deed(why_not=names_nothing, after=ticks_off),
    Name.MERGE: Deed(why_not=cannot_merge, before=merges, below=Below.BACK, is_alone=True),
    Name.SAME: Deed(why_not=cannot_be_same, before=is_same, not_with=frozenset({Name.APART})),
    Name.APART: Deed(why_not=in_no_matter, before=is_apart, takes_argument=False),
    Name.SPLIT: Deed(why_not=cannot_split, before=splits, below=Below.BACK, is_alone=True, takes_argument=False),
    Name.RECORD: Deed(
        why_not=cannot_record,
        before=records,
        below=Below.INSIDE,
        place=Place.ANYWHERE,
        not_with=frozenset({Name.SEND}),
    ),
    Name.JOIN: Deed(why_not=nothing_to_join, before=joins, below=Below.BACK, is_alone=True),
    Name.SPAM: Deed(before=is_junk, below=Below.BACK, is_alone=True),
    Name.NOT_SPAM: Deed(before=is_no_junk, opens=True),
    Name.MINE: _of_the_desk(asks_for_mine, takes_argument=False),
    Name.HELD: _of_the_desk(asks_for_held, takes_argument=False),
    Name.FIND: _of_the_desk(asks_to_find, nothing_to_find),
    Name.SHOW: _of_the_desk(shows, not_shown),
    Name.ON: _of_the_desk(comes, takes_argument=False),
    Name.OFF: _of_the_desk(goes, takes_argument=False),
    Name.BREAK: _of_the_desk(rests, wrong_break),
    Name.OK: Deed(why_not=_no_question, place=Place.ANYWHERE),
    Name.NO: Deed(why_not=_no_question, place=Place.ANYWHERE),
    Name.AWAY: _of_the_desk(asks_away, wrong_absence, for_supervisors=True),
    Name.REPORT: _of_the_desk(asks_for_report, no_such_span, for_supervisors=True),
    Name.HOLIDAY: Deed(
        why_not=no_such_day, before=asks_for_day, below=Below.INSIDE, place=Place.ANYWHERE, for_supervisors=True
    ),
    Name.TEXT: Deed(
        why_not=wrong_text,
        before=shows_text,
        below=Below.INSIDE,
        place=Place.ANYWHERE,
        is_alone=True,
        for_supervisors=True,
    ),
    Name.HELP: Deed(
        before=helps, below=Below.BACK, place=Place.ANYWHERE, not_with=frozenset({Name.SEND})
    ),  # what he writes below may be his question
}
