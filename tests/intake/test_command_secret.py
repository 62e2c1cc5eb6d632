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


@pytest.mark.parametrize("place", ['{ file = "secrets/hotline.secret" }', '{ credential = "hotline" }'])
def test_what_goes_into_a_file_is_the_secret_alone(desk: Desk, place: str) -> None:
    """`intake secret new hotline >file`: standard output is no terminal."""
    path = desk.folder / "secrets" / "hotline.secret"
    desk.path.write_text(desk.path.read_text().replace('{ file = "secrets/hotline.secret" }', place))
    path.write_text("")  # the shell empties what it redirects to before the command runs

    code, out, err = desk.says("secret", "new", "hotline")

    assert (code, out.count("\n"), secret_problem(out.strip())) == (0, 1, "")
    assert path.read_text() == (out if "file" in place else "")
    assert err.startswith("  -> ")
    assert out.strip() not in err


@pytest.mark.parametrize("spoil", ['key = { file = "secrets/token.key" }', None])
def test_a_secret_may_be_made_before_the_configuration(desk: Desk, spoil: str | None) -> None:
    desk.path.write_text(desk.path.read_text().replace(spoil, "")) if spoil else desk.path.unlink()

    code, out, err = desk.says("secret", "new", "token-key")

    assert (code, len(out.strip()) >= 32, out.count("\n")) == (0, True, 1)
    assert err == "  -> no configuration says where it lies: write it to /etc/intake/secrets/token-key\n"


def test_json_is_for_whoever_asks_for_it(desk: Desk) -> None:
    [facts] = desk.lines("secret", "new", "hotline", "--force")

    assert facts == {"file": str(desk.folder / "secrets" / "hotline.secret"), "replaced": True}


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
        (["new", "pigeon"], 3, "there is: hotline, store-key, support-mail, token-key"),
        (["new", "support-mail"], 2, "given out by its mail server"),
        (["old", "hotline"], 2, "invalid choice: 'old'"),
    ],
)
def test_what_is_no_secret_of_ours(desk: Desk, words: list[str], code: int, said: str) -> None:
    ended, out, err = desk.says("secret", *words)

    assert (ended, out) == (code, "")
    assert said in err
