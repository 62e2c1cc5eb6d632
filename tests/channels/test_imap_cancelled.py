"""A cancellation reaches the mailbox reader, whatever the library does with it."""

from __future__ import annotations

import asyncio

import pytest

from channels.imap_client import _within


async def test_a_cancellation_that_meets_the_answer_is_not_lost() -> None:
    """On Python 3.11 `asyncio.wait_for`, which the library uses, returns the answer as if nothing had been asked."""
    answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    asking = asyncio.create_task(_within(5.0, asyncio.wait_for(answer, 5.0), "mail.example: LOGIN"))
    await asyncio.sleep(0)
    answer.set_result("OK")
    asking.cancel()

    with pytest.raises(asyncio.CancelledError):
        await asking


async def test_an_answer_comes_back_as_it_is() -> None:
    answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    asking = asyncio.create_task(_within(5.0, asyncio.wait_for(answer, 5.0), "mail.example: LOGIN"))
    await asyncio.sleep(0)
    answer.set_result("OK")

    assert await asking == "OK"
