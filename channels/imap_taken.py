"""What is done to mail that has been taken in: marked, moved, or left as it is.

It is for the people who look into the mailbox; what counts is the cursor. So nothing here fails the reading but a lost
connection: what the server will not do is said once, and done in the next best way.
"""

from __future__ import annotations

from collections.abc import Callable

from channels.imap_client import Imap
from channels.imap_words import Folder, RefusedByServer
from channels.settings import ImapSettings

KEYWORD = "$Intake"
SEEN = r"\Seen"

Say = Callable[[str], None]  # a sentence for the operator; saying it again does nothing


async def tidy(imap: Imap, folder: Folder, uids: list[int], settings: ImapSettings, say: Say) -> None:
    """Do to these mails, all of them accepted, what the configuration asks for."""
    if settings.after_taking == "leave" or not uids:
        return
    if folder.is_read_only:
        say("the folder is read-only: taken mail is left as it is")
        return
    try:
        if settings.after_taking == "move":
            await _move(imap, uids, settings.move_to, say)
        else:
            await imap.add_flag(uids, _flag(folder, settings, say))
    except RefusedByServer as refused:
        say(f"taken mail is left as it is: {refused.reason}")


def _flag(folder: Folder, settings: ImapSettings, say: Say) -> str:
    if settings.after_taking == "seen":
        return SEEN
    if not folder.keeps(KEYWORD):
        say(f"the server keeps no flag {KEYWORD}: taken mail is marked as read instead")
        return SEEN
    return KEYWORD


async def _move(imap: Imap, uids: list[int], name: str, say: Say) -> None:
    try:
        is_gone = await imap.move(uids, name)
    except RefusedByServer as refused:
        if refused.is_passing:
            raise
        # Not every server says TRYCREATE (RFC 3501 §7.1); one where the folder is there refuses to make it again.
        try:
            await imap.create(name)
            is_gone = await imap.move(uids, name)
        except RefusedByServer:
            say(f'taken mail cannot be moved to "{name}", and is marked as read instead: {refused.reason}')
            await imap.add_flag(uids, SEEN)
            return
    if not is_gone:
        say(f'taken mail is copied to "{name}" and only flagged as deleted: the server has neither MOVE nor UIDPLUS')
