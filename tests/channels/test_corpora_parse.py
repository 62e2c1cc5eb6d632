"""Every mail of the shared corpora is read: without an exception, within its time, and storable."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path

import pytest

from channels import mime, normal_json
from channels.parsing import ParseJob, ParserPool

CORPORA = Path(__file__).resolve().parents[3] / "shared" / "corpora"
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


def test_nearly_all_bounces_of_the_world_are_known_and_what_is_none_is_not_taken_for_one() -> None:
    folder = CORPORA / "sisimai-bounces" / "maildir"
    found: Counter[str] = Counter()
    for path in sorted((folder / "bsd").glob("*.eml")):
        bounce = mime.parse(path.read_bytes()).bounce
        found["all"] += 1
        found["known"] += bounce is not None
        found["with recipient"] += bool(bounce and bounce.recipient)
    others = [mime.parse(path.read_bytes()).bounce for path in sorted((folder / "not").glob("*.eml"))]

    assert found["known"] > found["all"] * 0.93, found
    assert found["with recipient"] > found["all"] * 0.91, found
    assert others == [None] * len(others)
