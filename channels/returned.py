"""What came back with a report: the headers of our mail, as a part, as a file, or quoted in the words.

Linear and raises nothing; at most 64 KiB of a part are looked at.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from channels.headers import address_within, addresses, message_ids, read_block, split_head, text
from channels.parts import Tree

LOOKED_AT = 64 * 1024  # octets of a part, characters of words
RETURNED_TYPES = (
    "message/rfc822",
    "message/global",
    "text/rfc822-headers",
    "message/rfc822-headers",
    "message/global-headers",
)
#: A file or text part is searched for headers only while there are this few of them.
_MAX_TEXTS = 8

_ID = re.compile(r"^[ \t>|]{0,8}message-id[ \t]*:[ \t]*\n?[ \t>|]{0,8}(<[^<>\s\x00-\x1f\x7f]{1,500}>)", re.I | re.M)
_MARK = re.compile(r"^[ \t>|]{0,8}x-intake-loop[ \t]*:[ \t]*([0-9a-f]{16}\.[0-9a-f]{32})(?![0-9a-f])", re.I | re.M)
_QUOTED_TO = re.compile(r"^[ \t>|]{0,8}to[ \t]*:[ \t]*([^\n]{3,400})", re.I | re.M)


@dataclass(frozen=True, slots=True)
class Returned:
    """Of the mail that a report is about."""

    message_id: str = ""  # with angle brackets
    loop_mark: str = ""  # value of its X-Intake-Loop
    to: str = ""  # its only recipient; "" for several
    is_part: bool = False  # it came as a part of its own


def find(tree: Tree, words: str) -> Returned:
    """From the part that holds it; what that does not have, from the words and the files."""
    found = _from_part(tree)
    if found.message_id and found.loop_mark:
        return found
    own = message_ids(tree.headers.first(b"message-id"))
    for said in (words[-LOOKED_AT:], *_texts(tree)):
        ids = [one[1] for one in _ID.finditer(said) if one[1] not in own]
        mark = _MARK.search(said)
        to = _QUOTED_TO.search(said) if ids or mark else None
        found = Returned(
            # The last one: a report that quotes its own history has ours at the end.
            message_id=found.message_id or (ids[-1] if ids else ""),
            loop_mark=found.loop_mark or (mark[1].lower() if mark else ""),
            to=found.to or (address_within(to[1]) if to else ""),
            is_part=found.is_part,
        )
        if found.message_id:
            break
    return found


def _from_part(tree: Tree) -> Returned:
    for part in tree.parts:
        if part.media_type not in RETURNED_TYPES or (part.path == "1" and len(tree.parts) == 1):
            continue
        octets = tree.payload(part)[:LOOKED_AT].lstrip(b"\r\n")
        fields, _ = read_block(octets[: split_head(octets, 0, len(octets))[0]])
        ids = message_ids(fields.first(b"message-id"))
        to = [address for value in fields.all(b"to") for _, address in addresses(value)]
        mark = _MARK.match("x-intake-loop: " + text(fields.first(b"x-intake-loop")))
        return Returned(
            message_id=ids[0] if ids else "",
            loop_mark=mark[1].lower() if mark else "",
            to=to[0] if len(to) == 1 else "",
            is_part=True,
        )
    return Returned()


def _texts(tree: Tree) -> list[str]:
    """Text that is no words of the report: headers attached as a file, a second plain part."""
    some = [part for part in tree.parts[1:] if part.media_type in ("text/plain", "text/x-headers")]
    return [tree.payload(part)[:LOOKED_AT].decode("utf-8", "replace") for part in some[:_MAX_TEXTS]]
