"""The table of deeds: every command, and what it does.

To add one: its words in `routing/commands.py`, a line here, its function in the module of its subject, and the texts
`action.NAME` and `action.typed_NAME` (`!help` lists it by itself).
"""

from __future__ import annotations

from collections.abc import Mapping

from routing.addressing import copies_to, no_address, no_reply_to, replies_to, shows_recipients
from routing.closing import closes
from routing.commands import CommandName as Name
from routing.deed import Below, Deed, Place
from routing.handing_over import hands_over, unknown_colleague
from routing.helping import helps
from routing.joining import joins, nothing_to_join
from routing.marking import is_junk, is_no_junk

DEEDS: Mapping[Name, Deed] = {
    Name.NOTE: Deed(below=Below.INSIDE, not_with=frozenset({Name.SEND})),
    Name.CLOSE: Deed(after=closes),
    Name.TO: Deed(
        why_not=unknown_colleague,
        before=hands_over,
        below=Below.INSIDE,
        not_with=frozenset({Name.CLOSE, Name.SEND}),
    ),
    Name.SEND: Deed(),  # `routing/answering.py`: it is about the words themselves
    Name.CC: Deed(why_not=no_address, before=copies_to, after=shows_recipients),
    Name.REPLY_TO: Deed(why_not=no_reply_to, before=replies_to, after=shows_recipients),
    Name.JOIN: Deed(why_not=nothing_to_join, before=joins, below=Below.BACK, is_alone=True),
    Name.SPAM: Deed(before=is_junk, below=Below.BACK, is_alone=True),
    Name.NOT_SPAM: Deed(before=is_no_junk, opens=True),
    Name.HELP: Deed(after=helps, place=Place.ANYWHERE),
}
