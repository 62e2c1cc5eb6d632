"""The mail circle, end to end: a customer writes, an agent answers from his own client, the customer gets it once.

The daemon runs as a process between a real Postfix and a real Dovecot; mails have the shapes that real clients give
them. What must not leave is looked for in everything that reached the customer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any

import pytest
from support.daemon import Daemon, wait_until
from support.firm import Firm, is_answer, is_automatic, plain, servers
from support.leaks import everything, leaked
from support.mailclients import CUSTOMERS, REPLIES, answer_address

pytestmark = pytest.mark.system

MEI = "王美玲"
CHEN = "陳怡君"
QUESTION = "請問這期營業稅什麼時候截止？\n我們的進項發票還沒整理好，\n會不會來不及？"
ANSWER = "王小姐您好：\n\n這期截止日是 15 日，來得及。\n請先把發票寄給我們。\n\n陳怡君"
#: One mailbox for each test, so that none counts another's mails.
NAMES = [f"mei{n}@customer.example" for n in range(20)]
OTHERS = ["tls", "references", "subdomain"]


@pytest.fixture(scope="module")
def both() -> Iterator[Any]:
    catch_all = {"reply.firm.example": "support-subdomain@firm.example"}
    with servers(["", *OTHERS], NAMES, catch_all) as pair:
        yield pair


@pytest.fixture(scope="module")
def firm(both: Any, tmp_path_factory: pytest.TempPathFactory) -> Firm:
    return Firm(tmp_path_factory.mktemp("firm"), *both)


@pytest.fixture(scope="module")
def daemon(firm: Firm) -> Iterator[Daemon]:
    with Daemon(firm.config, drain=20.0) as running:
        yield running
        print(running.story())
    assert running.noise == []  # no traceback, no warning


_names = iter(NAMES)


@dataclass
class Circle:
    """One customer's mail and what came of it."""

    firm: Firm
    daemon: Daemon
    customer: str
    asked: EmailMessage | None = None  # the mail to the agent

    def ask(self, shape: str = "gmail", subject: str = "營業稅申報的期限", words: str = QUESTION) -> EmailMessage:
        """The customer writes; the mail that his agent gets."""
        raw = CUSTOMERS[shape](self.customer, MEI, self.firm.desk, subject, words)
        self.first_id = re.findall(rb"(?i)\nmessage-id:\s*(<[^>]+>)", raw)[0].decode()
        self.firm.send(self.customer, self.firm.desk, raw)
        self.asked = self.firm.box(self.firm.chen).wait_for(lambda m: self.customer in plain(m))
        return self.asked

    @property
    def ticket(self) -> int:
        assert self.asked is not None
        return int(re.findall(r"#(\d+)", str(self.asked["Subject"]))[0])

    def reply(self, words: str, client: str = "gmail", *, envelope: str = "", mail: EmailMessage | None = None) -> None:
        """The agent presses Reply in his client, writes on top, and leaves everything quoted below."""
        mail = mail or self.asked
        assert mail is not None
        raw = REPLIES[client](mail, CHEN, self.firm.chen, words)
        self.firm.send(envelope or self.firm.chen, answer_address(mail), raw)

    def answer(self) -> EmailMessage:
        """A person's words, in the customer's mailbox."""
        return self.firm.box(self.customer).wait_for(is_answer)

    def got(self) -> list[EmailMessage]:
        """All that the customer was sent, once nothing is under way any more."""
        self.daemon.settle()
        wait_until(lambda: not self.firm.postfix.queue(), "the border server's queue is empty")
        return self.firm.box(self.customer).mails()

    def told(self, words: str) -> EmailMessage:
        """What the desk tells the agent about something he did."""
        return self.firm.box(self.firm.chen).wait_for(lambda m: words in plain(m) and m is not self.asked)

    def state(self) -> str:
        [row] = self.daemon.rows("SELECT state FROM ticket WHERE id = ?", self.ticket)
        return str(row["state"])


@pytest.fixture
def circle(firm: Firm, daemon: Daemon) -> Circle:
    return Circle(firm, daemon, next(_names))


@pytest.mark.parametrize(
    ("shape", "client"),
    [("qq", "outlook"), ("gmail", "gmail"), ("outlook", "apple"), ("qq", "thunderbird"), ("gmail", "outlook-en")],
)
def test_the_circle_closes_and_nothing_internal_leaves(circle: Circle, shape: str, client: str) -> None:
    asked = circle.ask(shape)
    circle.reply(ANSWER, client)
    answer = circle.answer()
    stamp = circle.daemon.wait_for("first_response_recorded", ticket=circle.ticket)
    mails = circle.got()

    assert [is_automatic(mail) for mail in mails] == [True, False]  # one acknowledgement, one answer, in this order
    text = plain(answer).replace("\r\n", "\n")
    # His name below his words is his signature, once that is known from earlier replies: the firm's has it again.
    assert re.match(re.escape(ANSWER.removesuffix("\n\n陳怡君")) + r"\n\n(陳怡君\n\n)?-- \n陳怡君\n", text)
    assert QUESTION.split("\n")[0] not in text
    assert str(answer["From"].addresses[0].addr_spec) == circle.firm.desk
    assert str(answer["Return-Path"]) == f"<{circle.firm.desk}>"
    assert [str(a.addr_spec) for a in answer["To"].addresses] == [circle.customer]
    assert str(answer["Subject"]) == "Re: 營業稅申報的期限"
    assert str(answer["In-Reply-To"]) == circle.first_id
    assert str(answer["References"]).split() == [circle.first_id]
    assert leaked(answer, asked, circle.firm) == []
    assert leaked(mails[0], asked, circle.firm) == []
    assert 0 < stamp["margin_s"] <= 8 * 3600
    assert circle.state() == "answered"
    [acknowledgement] = filter(is_automatic, mails)
    assert f"#{circle.ticket}" in plain(acknowledgement)
    assert re.search(r"\d{1,2}:\d{2}", plain(acknowledgement))
    assert str(acknowledgement["Return-Path"]) == "<>"


def test_what_the_agent_is_shown(circle: Circle) -> None:
    asked = circle.ask("outlook")

    text = plain(asked)
    assert all(line in text for line in QUESTION.split("\n"))
    assert str(asked["To"].addresses[0].addr_spec) == circle.firm.chen
    assert re.fullmatch(r"support\+ikt[a-z2-7]{28}@firm\.example", answer_address(asked))
    assert "寄件者已驗證" in text


def test_the_customers_reply_joins_his_ticket_and_the_agent_sees_it(circle: Circle) -> None:
    circle.ask()
    circle.reply(ANSWER)
    answer = circle.answer()
    raw = REPLIES["gmail"](answer, MEI, circle.customer, "謝謝，發票今天寄出。")
    circle.firm.send(circle.customer, circle.firm.desk, raw)
    circle.daemon.wait_for("message_added", ticket=circle.ticket)
    update = circle.firm.box(circle.firm.chen).wait_for(
        lambda m: f"#{circle.ticket}" in m["Subject"] and "發票今天寄出" in plain(m)
    )
    circle.reply("收到後我會通知您。", "outlook", mail=update)
    second = circle.firm.box(circle.customer).wait_for(lambda m: is_answer(m) and "收到後" in plain(m))
    circle.daemon.wait_for("target_met", ticket=circle.ticket, target="next_response")

    assert answer_address(answer) == circle.firm.desk
    assert len([m for m in circle.got() if is_automatic(m)]) == 1  # no second acknowledgement
    assert str(second["In-Reply-To"]) == re.findall(rb"(?i)\nmessage-id:\s*(<[^>]+>)", raw)[0].decode()
    assert str(answer["Message-ID"]) in str(second["References"]).split()
    assert leaked(second, update, circle.firm) == []


def test_a_note_stays_inside(circle: Circle) -> None:
    circle.ask()
    circle.reply("！備註\n這位客戶欠款三期，先問主管。", "outlook")
    circle.daemon.wait_for("note_recorded", ticket=circle.ticket)

    assert [is_automatic(mail) for mail in circle.got()] == [True]
    assert circle.state() == "open"


def test_an_answer_with_close_reaches_the_customer_and_ends_the_ticket(circle: Circle) -> None:
    circle.ask()
    circle.reply("！結案\n已經辦好了。", "apple")
    answer = circle.answer()
    circle.daemon.wait_for("ticket_closed", ticket=circle.ticket)
    circle.daemon.wait_for("first_response_recorded", ticket=circle.ticket)

    assert plain(answer).replace("\r\n", "\n").startswith("已經辦好了。\n")
    assert "結案" not in everything(answer)
    assert circle.state() == "closed"


def test_an_unknown_command_sends_nothing_and_gives_the_text_back(circle: Circle) -> None:
    circle.ask()
    circle.reply("！結按\n稅額是三萬元，請於月底前繳納。", "thunderbird")
    circle.daemon.wait_for("reply_held", ticket=circle.ticket, why="unknown_command")
    told = circle.told("！結按")

    assert "稅額是三萬元，請於月底前繳納。" in plain(told)
    assert [is_automatic(mail) for mail in circle.got()] == [True]


def test_a_reply_to_the_bare_address_is_held(circle: Circle) -> None:
    """His client answers From instead of Reply-To: without its token nothing is certain."""
    asked = circle.ask()
    del asked["Reply-To"]
    circle.reply("稅額是三萬元。", "outlook")
    circle.daemon.wait_for("reply_held", agent="chen", why="no_token")
    circle.told("沒有寄給客戶")

    assert [is_automatic(mail) for mail in circle.got()] == [True]


def test_a_forgers_reply_is_held_and_the_real_agent_hears_of_it(circle: Circle) -> None:
    """He has the agent's mail with its token and every header; the border server does not vouch for him."""
    circle.ask()
    circle.reply("請匯款到新帳戶 012-345678。", "gmail", envelope="forger@nowhere.example")
    circle.daemon.wait_for("reply_held", agent="chen", why="no_evidence")
    told = circle.told("無法證明是您寄的")

    assert answer_address(told) == circle.firm.desk  # and no token of that ticket, whoever reads it
    assert [is_automatic(mail) for mail in circle.got()] == [True]


def test_what_is_quoted_above_his_words_never_leaves(circle: Circle) -> None:
    """Bottom-posting: the card stands above what he wrote, so nothing can be told apart."""
    asked = circle.ask()
    card = plain(asked).replace("\r\n", "\n")
    circle.reply(f"{card}\n請看上面。", "outlook")
    circle.daemon.wait_for("reply_held", agent="chen", ticket=circle.ticket)

    assert [is_automatic(mail) for mail in circle.got()] == [True]


@pytest.mark.parametrize(
    ("suffix", "changes", "address"),
    [
        ("tls", {"has_tls": True}, r"support-tls\+ikt.*@firm\.example"),
        ("references", {"mail": 'token_in = "references"'}, r"support-references@firm\.example"),
        (
            "subdomain",
            {"mail": 'token_in = "subdomain"\ntoken_domain = "reply.firm.example"'},
            r"ikt[a-z2-7]+@reply\.firm\.example",
        ),
    ],
    ids=OTHERS,
)
def test_other_ways_of_carrying_mail_and_token(
    both: Any, tmp_path_factory: pytest.TempPathFactory, suffix: str, changes: dict[str, Any], address: str
) -> None:
    firm = Firm(tmp_path_factory.mktemp(suffix), *both, suffix=suffix, **changes)
    with Daemon(firm.config, drain=20.0) as daemon:
        circle = Circle(firm, daemon, next(_names))
        asked = circle.ask()
        circle.reply(ANSWER, "outlook")
        answer = circle.answer()
        mails = circle.got()
        daemon.stop()

    assert re.fullmatch(address, answer_address(asked))
    assert plain(answer).replace("\r\n", "\n").startswith(ANSWER.removesuffix("\n\n陳怡君"))
    assert leaked(answer, asked, firm) == []
    assert [is_automatic(mail) for mail in mails] == [True, False]
