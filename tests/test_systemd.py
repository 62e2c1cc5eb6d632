"""The systemd unit: valid, and as little exposed as promised."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.needs import needs

UNIT = Path(__file__).parents[1] / "systemd" / "intake.service"


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit with a program that exists here: `verify` refuses an ExecStart that it cannot find."""
    lines = [
        f"ExecStart={sys.executable} run" if line.startswith("ExecStart=") else line
        for line in UNIT.read_text("utf-8").splitlines()
    ]
    copy = tmp_path / UNIT.name
    copy.write_text("\n".join(lines) + "\n")
    return copy


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    needs("systemd-analyze")
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, timeout=60)


def test_systemd_understands_the_unit(unit: Path) -> None:
    result = analyze("verify", str(unit))

    # It also speaks of other units of this machine: only what it says of ours counts.
    assert [line for line in result.stderr.splitlines() if UNIT.name in line] == []
    assert result.returncode == 0


def test_a_word_that_systemd_does_not_know_is_found(unit: Path) -> None:
    unit.write_text(unit.read_text().replace("ProtectClock=", "ProtectClocks="))

    result = analyze("verify", str(unit))

    assert "ProtectClocks" in result.stderr


def test_the_unit_is_exposed_2_0_or_less(unit: Path) -> None:
    result = analyze("security", "--offline=true", "--threshold=20", "--no-pager", str(unit))

    assert result.returncode == 0, result.stdout


def test_an_open_unit_is_refused_by_the_same_measure(unit: Path) -> None:
    lines = unit.read_text().splitlines()
    unit.write_text("\n".join(line for line in lines if not line.startswith(("Protect", "SystemCall", "Restrict"))))

    result = analyze("security", "--offline=true", "--threshold=20", "--no-pager", str(unit))

    assert result.returncode == 1


def settings() -> dict[str, list[str]]:
    """Key -> its values, over all sections."""
    found: dict[str, list[str]] = {}
    for line in UNIT.read_text("utf-8").splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("Type", "notify"),
        ("ExecReload", "/bin/kill -HUP $MAINPID"),
        ("RestartPreventExitStatus", "2"),  # a wrong configuration is not tried again
        ("StateDirectoryMode", "0700"),
        ("WatchdogSec", "60"),
        ("KillMode", "mixed"),  # the parsing workers live until the daemon has finished with them
    ],
)
def test_the_daemon_relies_on(key: str, value: str) -> None:
    assert settings()[key] == [value]


def test_every_comment_stands_on_its_own_line() -> None:
    """systemd knows no comments behind a value: they would become part of it."""
    assert [value for values in settings().values() for value in values if " #" in value] == []
