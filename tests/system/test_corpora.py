"""Thousands of real and broken mails go through a real IMAP server into the running daemon, twice.

The first feed: no mail is lost, none throws a loop, each is decided and seen by a person where a person must see it,
and what the store keeps are the octets that the server's FETCH gives. The second feed, by another folder and by a new
UIDVALIDITY: nothing changes but the log, which tells of copies.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.dovecot import Dovecot
from support.needs import needs
from support.smtpscript import ScriptedSmtp
from support.start import Desk, Firm, relay, serving

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

SUPPORT = "support@firm.example"
HERE = Path(__file__).resolve()
OWN = HERE.parents[1] / "channels" / "mails"
SHARED = HERE.parents[3] / "shared" / "corpora"
FEED = 90.0  # seconds that one feed may take on a busy machine; it takes five

#: What a second feed may not touch. It may add messages (with raw and normal form), what the log tells of them, and
#: move cursors; of the outbox only how far its rows have been sent may have changed meanwhile.
UNCHANGED = ("ticket", "customer", "contact", "target", "notice", "token", "thread_key", "counter", "agent", "call")
OUTBOX = "SELECT id, ticket, source, address, purpose, agent, recipe, mail_id, created_at FROM outbox ORDER BY id"


def mails_of(folder: Path) -> list[bytes]:
    """Every file as it is, also what is no mail: a mailbox holds whatever was put there, but nothing empty."""
    return [raw for path in sorted(folder.rglob("*")) if path.is_file() and (raw := path.read_bytes())]


@pytest.mark.parametrize("folder", [OWN, SHARED], ids=["own", "shared"])
def test_every_mail_is_kept_and_decided_and_a_second_feed_changes_nothing(folder: Path, tmp_path: Path) -> None:
    if not folder.is_dir():
        pytest.skip("the shared corpora are not beside this checkout (../shared/corpora)")
    needs("dovecot", "openssl")
    mails = mails_of(folder)
    with Dovecot({SUPPORT: "secret"}) as dovecot, relay() as sink:
        with dovecot.session(SUPPORT) as session:
            session.create("Copies")
        dovecot.append(SUPPORT, mails)
        firm = Firm(tmp_path, imap_port=dovecot.imap_port, smtp_port=sink.port, folders=["INBOX", "Copies"])
        with serving(firm) as desk:
            desk.decided(len(mails), FEED)
            nothing_is_lost(desk, dovecot, len(mails))
            every_loop_turned(desk)
            a_person_sees_what_he_must(desk)
            known = state(desk)

            with dovecot.session(SUPPORT) as session:
                session.select("INBOX")
                session.copy("1:*", "Copies")
            desk.decided(2 * len(mails), FEED)
            only_copies_came(desk, known, after=len(mails))
            every_loop_turned(desk)

            dovecot.stop()
            dovecot.renumber(SUPPORT)
            dovecot.start()
            desk.decided(3 * len(mails), FEED)
            only_copies_came(desk, known, after=len(mails))
            every_loop_turned(desk, "loop_failed")  # the connection went with the server
            assert {line["loop"] for line in desk.said("loop_failed")} <= {"support-mail"}

            desk.settle(FEED)
            desk.stop()
            every_letter_left(desk, sink)


def nothing_is_lost(desk: Desk, dovecot: Dovecot, count: int) -> None:
    """Every UID has its row, and the store has the octets that FETCH gives."""
    fetched = dovecot.fetch_all(SUPPORT)
    kept = desk.rows("SELECT message.external_id, raw.data FROM message JOIN raw ON raw.message = message.id")
    by_uid = {int(row["external_id"].split(";")[2]): row["data"] for row in kept}
    states = {row["state"] for row in desk.rows("SELECT DISTINCT state FROM message")}
    accepted = desk.rows("SELECT message, count(*) AS n FROM event WHERE kind = 'message_accepted' GROUP BY message")
    normal = desk.rows("SELECT count(*) AS n FROM normal")[0]["n"]

    assert len(fetched) == len(kept) == count
    assert [uid for uid, octets in fetched.items() if by_uid[uid] != octets] == []
    assert states <= {"done", "parked"}
    assert [row["n"] for row in accepted] == [1] * count
    assert normal == count


def every_loop_turned(desk: Desk, *but: str) -> None:
    """No exception came out of a loop or a decision; health says so too."""
    assert desk.complaints(*but) == [], desk.story()
    assert [name for name, loop in desk.health()["loops"].items() if not loop["ok"]] == []


def a_person_sees_what_he_must(desk: Desk) -> None:
    """What is no copy, no report and no machine's chatter has a ticket, which has an agent, a promise and a mail."""
    unseen = desk.rows("SELECT id, outcome FROM message WHERE ticket IS NULL AND outcome NOT IN (?, ?, ?)", *QUIET)
    parked = desk.rows("SELECT id FROM message WHERE state = 'parked' AND ticket IS NULL")
    alone = desk.rows(
        "SELECT id FROM ticket WHERE agent IS NULL"
        " OR NOT EXISTS (SELECT * FROM target WHERE target.ticket = ticket.id)"
        " OR NOT EXISTS (SELECT * FROM outbox WHERE outbox.ticket = ticket.id AND purpose = 'assignment')"
    )
    opened = desk.rows("SELECT count(*) AS n FROM message WHERE outcome = 'opened'")
    tickets = desk.rows("SELECT count(*) AS n FROM ticket")

    assert (unseen, parked, alone) == ([], [], [])
    assert opened == tickets != [{"n": 0}]


def every_letter_left(desk: Desk, sink: ScriptedSmtp) -> None:
    """Whatever the mails held, what was written about them could be written, and left once."""
    sent = desk.rows("SELECT state, count(*) AS n FROM outbox GROUP BY state")
    heads = [mail.octets.partition(b"\r\n\r\n")[0].splitlines() for mail in sink.mails]
    message_ids = [line for head in heads for line in head if line.startswith(b"Message-ID:")]

    assert sent == [{"state": "delivered", "n": len(sink.mails)}]
    assert len(set(message_ids)) == len(message_ids) == len(sink.mails)


#: A copy whose original has no ticket has none either.
QUIET = ("copy", "ignored", "bounced")


def state(desk: Desk) -> dict[str, list[dict[str, Any]]]:
    """Everything that a second feed may not change."""
    return {table: desk.rows(f"SELECT * FROM {table}") for table in UNCHANGED} | {"outbox": desk.rows(OUTBOX)}


def only_copies_came(desk: Desk, known: dict[str, list[dict[str, Any]]], after: int) -> None:
    """Each further message is a copy of what its octets were in the first feed, and nothing else has changed."""
    found = state(desk)
    other = desk.rows("SELECT id, state, outcome, copy_of FROM message WHERE id > ? AND outcome <> 'copy'", after)
    same_octets = desk.rows(
        "SELECT id, coalesce(copy_of, id) AS original, data FROM message JOIN raw ON raw.message = message.id"
    )
    originals = {row["data"]: row["original"] for row in same_octets if row["id"] <= after}
    unlike = [row["id"] for row in same_octets if row["original"] != originals[row["data"]]]
    told = {row["kind"] for row in desk.rows("SELECT DISTINCT kind FROM event WHERE message > ?", after)}

    assert [table for table in known if found[table] != known[table]] == []
    assert other == []
    assert unlike == []
    assert told == {"message_accepted", "message_copied"}
