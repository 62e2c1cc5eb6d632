"""Supervision: a loop that fails is started again and disturbs nobody; only what does not turn is overdue."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from channels.adapter import Fatal, LoginRefused, StoreUnavailable, TemporaryFailure
from intake import supervise
from intake.supervise import GRACE, HEALTHY_AFTER, LOGIN_REFUSED_WAIT, Supervisor


class Time:
    """The loop's time and sleeps, by hand: a sleep is over at once and counts."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def time(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await _yield()


async def _yield() -> None:
    await _real_sleep(0)


_real_sleep = asyncio.sleep


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Iterator[Time]:
    """No waiting is real here."""
    hand = Time()

    instead = vars(asyncio) | {"sleep": hand.sleep, "get_running_loop": lambda: hand}
    monkeypatch.setattr(supervise, "asyncio", SimpleNamespace(**instead))
    return hand


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[Any]]:
    structlog.reset_defaults()
    with capture_logs() as lines:
        yield lines


def failing(time: Time, *ends: Exception | float | None) -> Callable[[], Awaitable[None]]:
    """A loop that works for so many seconds, or ends so, one after the other; then it is cancelled."""
    waiting = list(ends)

    async def run() -> None:
        while waiting and isinstance(waiting[0], float):
            time.now += float(waiting.pop(0))  # type: ignore[arg-type]
        if not waiting:
            raise asyncio.CancelledError
        end = waiting.pop(0)
        if isinstance(end, Exception):
            raise end

    return run


async def kept(supervisor: Supervisor, name: str, run: Callable[[], Awaitable[None]]) -> None:
    with suppress(asyncio.CancelledError):
        await supervisor.keep(name, run)


async def test_a_loop_that_raises_is_started_again_after_growing_waits(time: Time) -> None:
    supervisor = Supervisor(chance=lambda: 1.0)

    await kept(supervisor, "mail", failing(time, *[TemporaryFailure("away")] * 11))

    assert time.slept == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 300.0, 300.0]


async def test_the_waits_are_spread_by_chance_and_never_nothing(time: Time) -> None:
    chances = iter([0.5, 0.0, 0.25])
    supervisor = Supervisor(chance=lambda: next(chances))

    await kept(supervisor, "mail", failing(time, *[TemporaryFailure("away")] * 3))

    assert time.slept == [0.5, 0.1, 1.0]


async def test_after_a_healthy_minute_the_next_failure_counts_as_the_first(time: Time) -> None:
    supervisor = Supervisor(chance=lambda: 1.0)
    away = TemporaryFailure("away")

    await kept(supervisor, "mail", failing(time, away, away, away, HEALTHY_AFTER - 0.1, away, HEALTHY_AFTER, away))

    assert time.slept == [1.0, 2.0, 4.0, 8.0, 1.0]


async def test_a_loop_that_ends_by_itself_has_failed(time: Time, logged: list[Any]) -> None:
    supervisor = Supervisor(chance=lambda: 1.0)

    await kept(supervisor, "mail", failing(time, None))

    assert supervisor.loops["mail"].last_error == "it ended by itself"
    assert [(line["event"], line["loop"], line["error"]) for line in logged] == [
        ("loop_failed", "mail", "it ended by itself")
    ]


async def test_a_refused_login_waits_a_quarter_of_an_hour_and_says_so(time: Time) -> None:
    supervisor = Supervisor()

    await kept(supervisor, "mail", failing(time, LoginRefused("LOGIN: authentication failed")))

    assert time.slept == [LOGIN_REFUSED_WAIT] == [900.0]
    assert supervisor.loops["mail"].note == "tries again in 900 s: LOGIN: authentication failed"


async def test_a_server_that_names_a_time_is_given_it(time: Time) -> None:
    await kept(Supervisor(), "mail", failing(time, TemporaryFailure("too many connections", retry_after=75.0)))

    assert time.slept == [75.0]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (TemporaryFailure("mail.firm.example:993: no route to host"), "mail.firm.example:993: no route to host"),
        (StoreUnavailable("database or disk is full"), "the store is not there: database or disk is full"),
        (KeyError("x"), "KeyError: 'x'"),
        (TimeoutError(), "TimeoutError"),
        (ExceptionGroup("two", [ValueError("a"), OSError("b")]), "ValueError: a; OSError: b"),
    ],
    ids=["server", "store", "mistake", "no words", "group"],
)
async def test_what_went_wrong_is_said_in_one_line(time: Time, logged: list[Any], error: Exception, words: str) -> None:
    supervisor = Supervisor(chance=lambda: 1.0)

    await kept(supervisor, "mail", failing(time, error))

    assert [line["error"] for line in logged if line["event"] == "loop_failed"] == [words]
    assert supervisor.loops["mail"].last_error == words


async def test_fatal_ends_it(time: Time) -> None:
    with pytest.raises(Fatal, match="the path secret is 32 bit"):
        await Supervisor().keep("hotline", failing(time, Fatal("the path secret is 32 bit")))

    assert time.slept == []


async def test_the_log_tells_of_the_first_failure_and_then_ever_more_rarely(time: Time, logged: list[Any]) -> None:
    supervisor = Supervisor(chance=lambda: 1.0)

    await kept(supervisor, "mail", failing(time, *[TemporaryFailure("away")] * 100))

    assert [line["failures"] for line in logged if line["event"] == "loop_failed"] == [1, 2, 4, 8, 16, 32, 64]


async def test_only_a_loop_that_does_not_turn_is_overdue(time: Time) -> None:
    supervisor = Supervisor()
    turns, hangs = supervisor.progress("turns"), supervisor.progress("hangs")
    turns("waiting", 300.0)
    hangs("deciding", 60.0)

    time.now += 60.0 + GRACE
    at_the_limit = supervisor.overdue()
    time.now += 0.1
    beyond = supervisor.overdue()
    hangs("deciding", 60.0)

    assert (at_the_limit, beyond, supervisor.overdue()) == ([], ["hangs"], [])


async def test_g11_a_loop_that_waits_to_try_again_is_not_overdue_however_long(time: Time) -> None:
    supervisor = Supervisor()
    supervisor.progress("mail")("connecting", 30.0)
    looked: list[list[str]] = []

    async def sleep(seconds: float) -> None:
        time.now += seconds
        looked.append(supervisor.overdue())

    supervise.asyncio.sleep = sleep  # type: ignore[assignment]
    await kept(supervisor, "mail", failing(time, LoginRefused("no")))

    assert looked == [[]]
    assert supervisor.loops["mail"].is_waiting


async def test_a_loop_that_never_said_anything_is_not_overdue(time: Time) -> None:
    supervisor = Supervisor()
    supervisor.progress("mail")
    time.now += 1e6

    assert supervisor.overdue() == []


async def test_one_that_dies_again_and_again_leaves_the_others_untouched() -> None:
    supervisor = Supervisor(chance=lambda: 0.0)
    died, turned = 0, 0

    async def dies() -> None:
        nonlocal died
        died += 1
        raise RuntimeError("again")

    async def turns() -> None:
        nonlocal turned
        while True:
            turned += 1
            await asyncio.sleep(0.01)

    async with asyncio.timeout(5):
        tasks = [asyncio.create_task(supervisor.keep(name, run)) for name, run in (("a", dies), ("b", turns))]
        while died < 3:
            await asyncio.sleep(0.01)
        was = turned
        tasks[0].cancel()
        await asyncio.sleep(0.05)
        tasks[1].cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)

    assert turned > was > 10
    assert supervisor.loops["b"].failures == 0
    assert [type(end) for end in ended] == [asyncio.CancelledError, asyncio.CancelledError]


async def test_g12_being_cancelled_while_it_waits_to_try_again_ends_it_at_once() -> None:
    supervisor = Supervisor()

    async def refused() -> None:
        raise LoginRefused("no")

    task = asyncio.create_task(supervisor.keep("mail", refused))
    await asyncio.sleep(0.05)
    task.cancel()
    async with asyncio.timeout(1):
        [end] = await asyncio.gather(task, return_exceptions=True)

    assert isinstance(end, asyncio.CancelledError)


@pytest.mark.parametrize("error", [RuntimeError("LOGOUT failed"), LoginRefused("no"), StoreUnavailable("away"), None])
async def test_g12_a_loop_whose_cleaning_up_fails_while_it_is_cancelled_ends_and_is_not_begun_again(
    error: Exception | None, logged: list[Any]
) -> None:
    supervisor = Supervisor(chance=lambda: 0.0)
    begun = 0

    async def run() -> None:
        nonlocal begun
        begun += 1
        try:
            await asyncio.Event().wait()
        finally:
            if error is not None:
                raise error
            return  # noqa: B012  # swallows the cancellation, as libraries do

    task = asyncio.create_task(supervisor.keep("mail", run))
    await asyncio.sleep(0.02)
    task.cancel()
    done, _ = await asyncio.wait([task], timeout=2)
    task.cancel()

    assert (begun, done, task.cancelled()) == (1, {task}, True)
    warnings = [line for line in logged if line["log_level"] == "warning"]
    assert [(line["event"], line["loop"]) for line in warnings] == [("loop_ended_badly", "mail")]
