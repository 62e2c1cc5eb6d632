"""The table of deeds: every command, and what it does.

To add one: its words in `routing/commands.py`, a line here, its function in the module of its subject, and the texts
`action.NAME` and `action.typed_NAME` (`!help` lists it by itself).
"""

from __future__ import annotations

from collections.abc import Mapping

from routing.addressing import copies_to, no_address, no_reply_to, replies_to, shows_recipients
from routing.closing import closes
from routing.commands import CommandName as Name
from routing.days_off import asks_for_day, no_such_day
from routing.deed import Below, Deed, Place
from routing.handing_over import hands_over, unknown_colleague
from routing.helping import helps
from routing.joining import joins, nothing_to_join
from routing.marking import is_junk, is_no_junk
from routing.reopening import not_closed, reopens
from routing.rewording import shows_text, wrong_text
from routing.undoing import undoes

DEEDS: Mapping[Name, Deed] = {
    Name.NOTE: Deed(below=Below.INSIDE, not_with=frozenset({Name.SEND})),
    Name.CLOSE: Deed(after=closes),
    Name.TO: Deed(
        why_not=unknown_colleague,
        before=hands_over,
        below=Below.INSIDE,
        not_with=frozenset({Name.CLOSE, Name.SEND}),
    ),
    Name.SEND: Deed(),  # `routing/speaking.py`: it is about the words themselves
    Name.UNDO: Deed(before=undoes, below=Below.BACK, is_alone=True),
    Name.REOPEN: Deed(why_not=not_closed, before=reopens, opens=True, not_with=frozenset({Name.CLOSE})),
    Name.CC: Deed(why_not=no_address, before=copies_to, after=shows_recipients),
    Name.REPLY_TO: Deed(why_not=no_reply_to, before=replies_to, after=shows_recipients),
    Name.JOIN: Deed(why_not=nothing_to_join, before=joins, below=Below.BACK, is_alone=True),
    Name.SPAM: Deed(before=is_junk, below=Below.BACK, is_alone=True),
    Name.NOT_SPAM: Deed(before=is_no_junk, opens=True),
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
    Name.HELP: Deed(after=helps, place=Place.ANYWHERE),
}
