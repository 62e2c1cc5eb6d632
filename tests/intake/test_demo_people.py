"""The playground's people and the secrets that are made for them."""

from __future__ import annotations

import stat
from pathlib import Path

from intake.demo.people import PEOPLE, Part, prepare


def test_every_secret_is_in_a_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    prepare(tmp_path / "var")

    folder = tmp_path / "var" / "demo"
    names = {"token.key", "hotline.secret", *(f"{person.key}.password" for person in PEOPLE)}
    assert {path.name for path in folder.iterdir()} == names
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_secrets_are_long_enough(tmp_path: Path) -> None:
    prepare(tmp_path)

    assert len(bytes.fromhex((tmp_path / "demo/token.key").read_text())) == 32
    # At six bit a character: PROMISES wants 128 bit in the path.
    assert len((tmp_path / "demo/hotline.secret").read_text().strip()) * 6 >= 128


def test_a_second_start_finds_the_same_secrets(tmp_path: Path) -> None:
    first = prepare(tmp_path)
    key = (tmp_path / "demo/token.key").read_text()

    assert prepare(tmp_path) == first
    assert (tmp_path / "demo/token.key").read_text() == key
    assert first["chen@firm.example"] == (tmp_path / "demo/chen.password").read_text().strip()


def test_a_start_that_was_cut_off_is_made_good(tmp_path: Path) -> None:
    first = prepare(tmp_path)
    (tmp_path / "demo/chen.password").write_text("")
    (tmp_path / "demo/chen.password.new").write_text("half")
    (tmp_path / "demo/lin.password").unlink()

    second = prepare(tmp_path)

    assert {a for a in first if first[a] != second[a]} == {"chen@firm.example", "lin@firm.example"}
    assert all(second.values())
    assert not (tmp_path / "demo/chen.password.new").exists()


def test_each_part_is_played() -> None:
    assert {person.part for person in PEOPLE} == set(Part)
    assert len({person.key for person in PEOPLE}) == len(PEOPLE)
