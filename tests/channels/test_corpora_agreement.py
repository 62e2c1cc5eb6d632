"""Against the expectations that come with the corpora: how far we agree, and that no difference is unexplained."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.oracle_differences import classes, known
from support.oracles import CORPORA, SETS, agreement, table

DOCS = Path(__file__).resolve().parents[2] / "docs" / "agreement.md"

pytestmark = pytest.mark.skipif(
    not CORPORA.is_dir(), reason="the shared corpora are not beside this checkout (../shared/corpora)"
)

#: How many mails of a set are told the same by both, field by field: what is reached, to the mail.
FLOOR = {
    "stalwart-mail-parser": {"sender": 214, "recipients": 214, "message_id": 214, "html": 42},
    "apache-mime4j": {"subject": 53, "message_id": 9},
    "synthetic-zh": {"sender": 1, "subject": 12, "files": 2, "text": 7},
    "mikel-mail": {},
    "webklex-php-imap": {},
    "cpython-test_email": {"sender": 47, "recipients": 47, "subject": 47, "message_id": 47, "date": 47, "text": 26},
    "chatwoot": {"sender": 39, "recipients": 39, "subject": 39, "message_id": 39, "date": 38, "files": 39, "text": 25},
}


@pytest.mark.parametrize("name", SETS)
def test_every_difference_is_explained_and_no_agreement_is_lost(name: str) -> None:
    told, same, differences = agreement(name)

    explained = known(name)
    unexplained = {
        mail: fields
        for mail, found in differences.items()
        if (fields := set(found) - explained.get(mail.removesuffix(" CRLF"), set()))
    }
    assert unexplained == {}
    assert set(explained) - {mail.removesuffix(" CRLF") for mail in differences} == set(), "no difference any more"
    assert sum(told.values()) > 0
    assert {field: same[field] for field in FLOOR[name]} == FLOOR[name]


def test_the_page_tells_the_figures_as_they_are() -> None:
    page = DOCS.read_text(encoding="utf-8")

    assert [line for line in (*table(), *classes()) if line not in page] == []
