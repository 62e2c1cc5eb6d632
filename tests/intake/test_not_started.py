"""Why there was no start: whatever file or folder is in the way, the sentence names it and says what to do."""

from __future__ import annotations

import errno
import os

import pytest

from intake.not_started import of_file


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOENT, "make it and give it to the daemon's user"),
        (errno.EACCES, "the daemon's user must own it"),
        (errno.EROFS, "the daemon's user must own it"),
        (errno.ENOTDIR, "move the file away"),
        (errno.EEXIST, "move the file away"),
        (errno.ENOSPC, "make room on its disk"),
        (errno.EDQUOT, "make room on its disk"),
    ],
)
def test_a_file_in_the_way_is_named_with_what_to_do(number: int, advice: str) -> None:
    said = of_file(OSError(number, os.strerror(number), "/var/lib/intake"))

    assert said.startswith(f"/var/lib/intake: {os.strerror(number)}; ")
    assert advice in said
