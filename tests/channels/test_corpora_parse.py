"""Every mail of the shared corpora is read: without an exception, within its time, and storable."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from pathlib import Path

import pytest

from channels import mime, normal_json
from channels.parsing import ParseJob, ParserPool

ROOT = Path(__file__).resolve().parents[2]
CORPORA = ROOT.parent / "shared" / "corpora"
SECONDS = 2.0  # of CPU a file; the slowest takes some milliseconds

pytestmark = pytest.mark.skipif(
    not CORPORA.is_dir(), reason="the shared corpora are not beside this checkout (../shared/corpora)"
)


def _files() -> list[Path]:
    return sorted(path for path in CORPORA.rglob("*") if path.is_file())


def test_every_file_of_the_corpora_is_read_in_time_and_comes_back_from_the_store() -> None:
    slow = []
    for path in _files():
        raw = path.read_bytes()
        start = time.process_time()
        message = mime.parse(raw)
        if time.process_time() - start > SECONDS:
            slow.append(path.name)
        assert normal_json.loads(normal_json.dumps(message)) == message, path

    assert slow == []


async def test_the_workers_say_the_same_of_every_file() -> None:
    raws = [path.read_bytes() for path in _files()]
    pool = ParserPool(1)
    await pool.start()
    try:
        answers = await pool.parse([ParseJob(raw) for raw in raws])
    finally:
        await pool.close()

    assert [n for n, answer in enumerate(answers) if answer.failure] == []
    assert [n for n, answer in enumerate(answers) if answer.message != mime.parse(raws[n])] == []


def _expected() -> list[dict[str, object]]:
    path = CORPORA / "synthetic-zh" / "expected.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []


@pytest.mark.parametrize("case", _expected(), ids=lambda case: str(case["file"]))
def test_chinese_mail_is_read_as_its_author_meant(case: dict[str, object]) -> None:
    message = mime.parse((CORPORA / "synthetic-zh" / str(case["file"])).read_bytes())

    found = {
        "subject": message.subject,
        "from_name": message.sender.display_name,
        "from_addr": message.sender.value,
        "body": message.text_full,
        "reply": message.text,
        "attachments": [attachment.name for attachment in message.attachments],
    }
    wanted = {key: value for key, value in case.items() if key in found}
    assert {key: found[key] for key in wanted} == wanted
    assert not any("/" in attachment.name for attachment in message.attachments)


#: Forwarded by a person, with words of his own or without; and what a mailing list says to those who run it.
NO_REPORTS = {"lhost-sendmail-14.eml", "make-test-36.eml", "lhost-fml-02.eml", "lhost-fml-03.eml"}


def test_nearly_all_bounces_of_the_world_are_known() -> None:
    folder = CORPORA / "sisimai-bounces" / "maildir"
    found: Counter[str] = Counter()
    for path in sorted(one for name in ("bsd", "dos", "mac", "err") for one in (folder / name).glob("*.eml")):
        bounce = mime.parse(path.read_bytes()).bounce
        found["all"] += 1
        found["known"] += bounce is not None
        found["with recipient"] += bool(bounce and bounce.recipient)
        is_absence = path.name.startswith("rfc3834-")
        assert (bounce is None) is (is_absence or path.name in NO_REPORTS), path.name

    assert found["known"] >= found["all"] * 0.98, found
    assert found["with recipient"] >= found["all"] * 0.98, found


@pytest.mark.parametrize("folder", ["bsd", "dos", "mac", "err", "not"])
def test_the_table_of_bounces_tells_what_is_reached(folder: str) -> None:
    found: Counter[str] = Counter()
    for path in (CORPORA / "sisimai-bounces" / "maildir" / folder).glob("*.eml"):
        bounce = mime.parse(path.read_bytes()).bounce
        found["none" if bounce is None else bounce.kind.value] += 1
        found["address"] += bool(bounce and bounce.recipient)
        found["id"] += bool(bounce and bounce.original_message_id)
    kinds = [found[kind] for kind in ("failed", "delayed", "delivered", "complaint")]
    mails, bounces = sum(kinds) + found["none"], sum(kinds)
    figures = [f"{bounces} ({bounces / mails:.1%})".replace("%", " %"), *kinds]
    row = [f"maildir/{folder}", mails, *figures, found["address"], found["id"], found["none"]]

    assert f"| {' | '.join(map(str, row))} |" in (ROOT / "docs" / "agreement.md").read_text("utf-8").splitlines()


def test_what_others_call_no_bounce_is_none_but_for_the_one_that_is() -> None:
    folder = CORPORA / "sisimai-bounces" / "maildir" / "not"

    found = {path.name for path in folder.glob("*.eml") if mime.parse(path.read_bytes()).bounce}

    # "An email you sent was rejected … Mailbox full", from postmaster@ by the empty return path: it is one.
    assert found == {"rb-issue-368-bug.eml"}


#: By name: each is a report of a mail server, put into the other sets for what is odd about its form.
REPORTS_ELSEWHERE = re.compile(
    r"bounced?_|_bounce\d|example_bounce|report_(?:422|530)|multipart_report_|badbound|raw_email_with_mimepart_without"
    r"|^msg_(?:05|16|25|43)\.txt"
)


def test_no_ordinary_mail_is_taken_for_a_bounce() -> None:
    wrong = []
    for path in sorted(p for p in CORPORA.rglob("*") if p.is_file() and "sisimai-bounces" not in p.parts):
        if path.suffix in (".json", ".md", ".py", ".rb", ".php") or REPORTS_ELSEWHERE.search(path.name):
            continue
        if path.stat().st_size < 1_000_000 and mime.parse(path.read_bytes()).bounce:
            wrong.append(path.name)

    assert wrong == []
