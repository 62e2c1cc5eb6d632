"""Quotes against the discourse trimmer's expectations: where theirs serve our users, and why not elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from channels.quotes import split

SET = Path(__file__).resolve().parents[3] / "shared" / "corpora" / "discourse-email_reply_trimmer" / "test"
DOCS = Path(__file__).resolve().parents[2] / "docs" / "agreement.md"

pytestmark = pytest.mark.skipif(
    not SET.is_dir(), reason="the shared corpora are not beside this checkout (../shared/corpora)"
)

#: What is in the mail -> the mails. docs/agreement.md says of each class who is right about it.
DIFFERENCES = {
    "A signature below `--`": {"usenet", "embedded_email_16", "embedded_email_polish_1"},
    "Rows of signs and of programs' names": {"delimiters", "signatures"},
    "A mail passed on": {"forwarded_apple", "forwarded_gmail", "forwarded_message"},
    "Words between, beneath or in place of the quote": {"embedded_email_7", "embedded_email_17", "embedded_email_18"},
    "Nothing but quotes": {"spam_1"},
    "A date and a name above words without marks": {"embedded_email_11"},
}
MAILS = 64


def _plain(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.replace("\r\n", "\n").strip().split("\n")).strip()


def test_every_difference_is_of_a_known_class() -> None:
    mails = sorted((SET / "emails").glob("*.txt"))

    differing = set()
    for path in mails:
        trimmed = SET / "trimmed" / path.name
        wanted = trimmed.read_text(encoding="utf-8") if trimmed.is_file() else ""
        found = split(path.read_text(encoding="utf-8", errors="replace").replace("\r\n", "\n"))
        if _plain(found.new) != _plain(wanted):
            differing.add(path.stem)

    assert len(mails) == MAILS
    assert differing == set().union(*DIFFERENCES.values())


def test_the_page_tells_the_figures_as_they_are() -> None:
    page = DOCS.read_text(encoding="utf-8")
    agreeing = MAILS - sum(map(len, DIFFERENCES.values()))

    assert f"{agreeing} of {MAILS}" in page
    rows = {line.split("|")[1].strip().partition(":")[0]: line for line in page.split("\n") if line.startswith("| ")}
    assert [name for name, mails in DIFFERENCES.items() if f"| {len(mails)} |" not in rows.get(name, "")] == []
