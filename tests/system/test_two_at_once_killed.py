"""kill -9 while two agents answer at once, and while one calls his answer back: one answer leaves unasked, or none.

Real servers and the daemon as a process; what the customer has is read from his mailbox on the disk.
"""

from __future__ import annotations

from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from support.daemon import wait_until
from support.driver import Driver
from support.firm import Firm, is_answer, plain, servers
from support.mailclients import REPLIES, answer_address

pytestmark = pytest.mark.system

#: The fourth batch of mails is the one that both answers are in, or the first of them; the fifth is the second's.
POINTS = ["claim.after_commit", "decide.before_commit", "decide.after_commit"]
BOTH = [f"{point}:{nth}" for point in POINTS for nth in (4, 5)]
UNDO = [f"{point}:{nth}" for point in POINTS for nth in (2, 3)] + ["attempt.before_commit:2", "send.after:2"]
PLACES = {
    case: f"w{number}" for number, case in enumerate([*(("both", c) for c in BOTH), *(("undo", c) for c in UNDO)])
}


def _customer(place: str) -> str:
    return f"an-{place}@customer.example"


@pytest.fixture(scope="module")
def both() -> Iterator[Any]:
    with servers(PLACES.values(), [_customer(place) for place in PLACES.values()]) as pair:
        yield pair


def _reply(driver: Driver, mail: EmailMessage, name: str, address: str, words: str) -> None:
    driver.firm.send(address, answer_address(mail), REPLIES["thunderbird"](mail, name, address, words))


@pytest.mark.parametrize("case", BOTH)
def test_of_two_answers_one_leaves_unasked(both: Any, tmp_path: Path, case: str) -> None:
    place = PLACES["both", case]
    driver = Driver(Firm(tmp_path, *both, suffix=place), crash=case)
    firm, an = driver.firm, _customer(place)
    with driver.daemon.start(waits=False):
        driver.write(an, "first")
        first = driver.wait_for(firm.chen, lambda m: an in plain(m))
        _reply(driver, first, "陳怡君", firm.chen, "！轉給 lin")
        second = driver.wait_for(firm.lin, lambda m: an in plain(m))
        _reply(driver, second, "林志豪", firm.lin, "！轉給 chen")
        again = driver.wait_for(firm.chen, lambda m: m["Message-ID"] != first["Message-ID"] and an in plain(m))

        _reply(driver, second, "林志豪", firm.lin, "不能更正。")
        _reply(driver, again, "陳怡君", firm.chen, "可以更正。")
        driver.wait_for(an, is_answer)
        held = driver.wait_for(firm.lin, lambda m: "先不寄給客戶" in plain(m))
        driver.settle()

        answers = [plain(mail).splitlines()[0] for mail in firm.box(an).all(is_answer)]
        assert driver.deaths == 1 or case.endswith(":5"), "the crash point was never reached: it proves nothing"
        assert answers == ["可以更正。"]
        assert "不能更正。" in plain(held)
        waiting = driver.daemon.rows("SELECT agent, held_reason FROM outbox WHERE state = 'held'")
        assert [row["agent"] for row in waiting] == ["lin"]


@pytest.mark.parametrize("case", UNDO)
def test_what_he_is_told_of_an_undo_is_what_the_customer_has(both: Any, tmp_path: Path, case: str) -> None:
    place = PLACES["undo", case]
    firm = Firm(tmp_path, *both, suffix=place)
    firm.config.write_text(firm.config.read_text("utf-8").replace("hotline =", "undo_seconds = 4\nhotline =", 1))
    driver, an = Driver(firm, crash=case), _customer(place)
    with driver.daemon.start(waits=False):
        driver.write(an, "first")
        first = driver.wait_for(firm.chen, lambda m: an in plain(m))
        driver.reply(first, "可以更正。")
        driver.wait_for_event("answer_queued", "first")
        driver.reply(first, "！撤回")
        told = driver.wait_for(firm.chen, lambda m: "撤回" in str(plain(m)).split("\n", 1)[0])
        driver.settle()

        answers = [plain(mail).splitlines()[0] for mail in firm.box(an).all(is_answer)]
        assert driver.deaths == 1, "the crash point was never reached: it proves nothing"
        assert ("已撤回" in plain(told), answers) in [(True, []), (False, ["可以更正。"])]
        wait_until(driver.daemon.is_settled, "nothing is left to send")
