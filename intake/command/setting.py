"""Which configuration a command goes by, and how it is read; what is wrong with it is said whole."""

from __future__ import annotations

import os
from pathlib import Path

from intake.command.failure import Exit, Failure
from intake.config import Config, ConfigError, load

VARIABLE = "INTAKE_CONFIG"
SYSTEM_WIDE = Path("/etc/intake/config.toml")


def config_path(written: str | None) -> Path:
    """--config, else $INTAKE_CONFIG, else ./config.toml where there is one, else /etc/intake/config.toml."""
    named = written or os.environ.get(VARIABLE)
    if named:
        return Path(named)
    here = Path("config.toml")
    return here if here.exists() else SYSTEM_WIDE


def configuration(written: str | None, *, secrets: bool = False) -> Config:
    """The configuration, without its secrets unless they are wanted. Raises Failure with every problem."""
    path = config_path(written)
    try:
        return load(path, secrets=secrets)
    except ConfigError as error:
        raise Failure(Exit.USAGE, f"{path} cannot be used:\n{error}") from error
