"""`intake secret new`: strong, where the configuration says, for the daemon's user alone, and shown to nobody."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from support.clidesk import SECRET, Desk, stand_still

from channels.telephony import secret_problem
from routing.tokens import Keyring


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    stand_still(monkeypatch)
    return Desk(tmp_path)


def test_without_a_name_it_is_printed(desk: Desk) -> None:
    first, second = (desk.says("secret", "new", "--text")[1].strip() for _ in range(2))

    assert first != second
    assert secret_problem(first) == ""


def test_a_channels_secret_is_written_and_not_shown(desk: Desk) -> None:
    path = desk.folder / "secrets" / "hotline.secret"
    path.unlink()

    code, out, _ = desk.says("secret", "new", "hotline", "--text")

    written = path.read_text().strip()
    assert (code, secret_problem(written)) == (0, "")
    assert written not in out
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in path.parent.iterdir() if p.name.startswith(".")] == []


def test_what_is_there_is_kept_unless_forced(desk: Desk) -> None:
    path = desk.folder / "secrets" / "hotline.secret"

    code, _, err = desk.says("secret", "new", "hotline")
    assert (code, path.read_text()) == (1, f"{SECRET}\n")
    assert "nothing was changed" in err

    assert desk.lines("secret", "new", "hotline", "--force") == [{"file": str(path), "replaced": True}]
    assert SECRET not in path.read_text()


def test_a_new_token_key_stands_above_the_old_one(desk: Desk) -> None:
    path = desk.folder / "secrets" / "token.key"
    old = Keyring.from_secret(path.read_text())

    assert desk.says("secret", "new", "token-key", "--force")[0] == 0

    new = Keyring.from_secret(path.read_text())
    assert new.current != old.current
    assert new.previous == (old.current,)


def test_a_credential_is_printed_with_what_to_do(desk: Desk) -> None:
    text = desk.path.read_text().replace('{ file = "secrets/hotline.secret" }', '{ credential = "hotline-secret" }')
    desk.path.write_text(text)

    code, out, _ = desk.says("secret", "new", "hotline", "--text")

    assert code == 0
    assert "LoadCredential=hotline-secret:/etc/intake/secrets/hotline-secret" in out


def test_the_secret_belongs_to_its_folders_owner(desk: Desk) -> None:
    if os.geteuid():
        pytest.skip("needs root")
    folder = desk.folder / "secrets"
    os.chown(folder, 65534, 65534)

    assert desk.says("secret", "new", "hotline", "--force")[0] == 0

    assert (folder / "hotline.secret").stat().st_uid == 65534


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["new", "pigeon"], 3, "there is: hotline, support-mail, token-key"),
        (["new", "support-mail"], 2, "given out by its mail server"),
        (["old", "hotline"], 2, "invalid choice: 'old'"),
    ],
)
def test_what_is_no_secret_of_ours(desk: Desk, words: list[str], code: int, said: str) -> None:
    ended, out, err = desk.says("secret", *words)

    assert (ended, out) == (code, "")
    assert said in err
