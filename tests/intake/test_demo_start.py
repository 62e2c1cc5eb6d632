"""The playground's mail server has ports of its own: one that is taken is named, with the key that moves it."""

from __future__ import annotations

import socket
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.clidesk import Desk
from support.ports import free_ports

from intake.demo.start import start
from intake.not_started import NotStarted


@pytest.mark.parametrize("side", ["imap", "smtp"])
async def test_a_taken_port_is_named_with_its_key(tmp_path: Path, side: str) -> None:
    ports = dict(zip(("imap", "smtp"), free_ports(2), strict=True))
    desk = Desk(tmp_path, **ports)
    with socket.create_server(("127.0.0.1", ports[side])):
        async with AsyncExitStack() as stack:
            with pytest.raises(NotStarted) as refused:
                await start(desk.config, lambda: datetime(2026, 11, 23, tzinfo=UTC), stack)

    assert str(refused.value) == (
        f"port {ports[side]} on 127.0.0.1 is taken by another program: "
        f"stop it, or choose another as channels.support-mail.{side}.port"
    )
