"""What `intake check` proposes for a folder beside the inbox that is not there: one that can be it, or to make one."""

from __future__ import annotations

import pytest

from channels.mail_check import beside_mend


@pytest.mark.parametrize(
    ("names", "mend"),
    [
        (["INBOX", "Sent", "Drafts"], "set imap.sent_folder to one of: Sent, Drafts"),
        (["INBOX"], "make the folder in the mailbox, or take imap.sent_folder out"),
        (["Inbox"], "make the folder in the mailbox, or take imap.sent_folder out"),
        ([], "make the folder in the mailbox, or take imap.sent_folder out"),
    ],
)
def test_the_inbox_is_never_proposed_for_what_was_sent(names: list[str], mend: str) -> None:
    assert beside_mend("sent_folder", names) == mend
