"""The agent works in a real mail program: neomutt in a terminal, against Dovecot, Postfix and the daemon as a process.

He opens the work mail, presses a key, writes, sends; the customer gets exactly his words and nothing internal, however
his program is set up. What he does by mistake reaches no customer, and he is told.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage

import pytest
from support.daemon import Daemon, wait_until
from support.firm import PASSWORD, Firm, is_answer, is_automatic, plain, servers
from support.leaks import everything, leaked
from support.mailclients import CUSTOMERS, answer_address
from support.mutt import ABOVE, AROUND, BELOW, INSTEAD, Mutt
from support.needs import needs

pytestmark = pytest.mark.system

QUESTION = "請問這期營業稅什麼時候截止？\n我們的進項發票還沒整理好，\n會不會來不及？"
WORDS = "王小姐您好：\n\n這期截止日是 15 日，來得及。\n請先把發票寄給我們。"
LAST = "以上，如有問題請再來信。"
SIGNATURE = "陳怡君 稅務組 分機 231\nchen@firm.example\n0912-345-678"
#: One mailbox for each test, so that none counts another's mails.
NAMES = [f"mei{n}@customer.example" for n in range(40)]


@pytest.fixture(scope="module")
def firm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firm]:
    needs("neomutt", "tmux")
    with servers([""], NAMES) as pair:
        yield Firm(tmp_path_factory.mktemp("firm"), *pair)


@pytest.fixture(scope="module")
def daemon(firm: Firm) -> Iterator[Daemon]:
    with Daemon(firm.config, drain=20.0) as running:
        yield running
        print(running.story())
    assert running.noise == []  # no traceback, no warning


_names = iter(NAMES)


@dataclass
class Desk:
    """One customer's question, the agent before his program, and what came of it."""

    firm: Firm
    daemon: Daemon
    customer: str
    work: EmailMessage  # the mail to the agent

    @property
    def ticket(self) -> int:
        return int(re.findall(r"#(\d+)", str(self.work["Subject"]))[0])

    def mutt(self, rc: str = "", signature: str = "", mail: EmailMessage | None = None) -> Mutt:
        """His program, to be used with `with`: it shows the work mail."""
        dovecot, postfix = self.firm.dovecot, self.firm.postfix
        if signature:
            rc = f'set signature = "{{folder}}/signature"\n{rc}'
        shows = str((mail or self.work)["Message-ID"])
        mutt = Mutt(
            self.firm.chen, PASSWORD, dovecot.imap_port, postfix.port, display_name="陳怡君", rc=rc, shows=shows
        )
        mutt.write_signature(signature)
        return mutt

    def answer(self) -> EmailMessage:
        """A person's words, in the customer's mailbox, in which nothing internal stands."""
        found = self.firm.box(self.customer).wait_for(is_answer)
        assert leaked(found, self.work, self.firm) == []
        return found

    def words(self) -> str:
        return plain(self.answer()).replace("\r\n", "\n")

    def got(self) -> list[EmailMessage]:
        """All that the customer was sent, once nothing is under way any more."""
        wait_until(lambda: not self.firm.postfix.queue(), "the border server's queue is empty")
        taken = "SELECT count(*) AS n FROM message"
        in_box = len(self.firm.box(self.firm.desk).mails())
        wait_until(lambda: self.daemon.rows(taken)[0]["n"] >= in_box, "the desk's mailbox has been read")
        self.daemon.settle()
        wait_until(lambda: not self.firm.postfix.queue(), "the border server's queue is empty")
        return self.firm.box(self.customer).mails()

    def got_nothing(self) -> bool:
        """Whether there is nothing but the acknowledgement."""
        return [is_automatic(mail) for mail in self.got()] == [True]


@pytest.fixture
def desk(firm: Firm, daemon: Daemon) -> Desk:
    """A customer has written, and his agent has got it."""
    customer = next(_names)
    raw = CUSTOMERS["gmail"](customer, "王美玲", firm.desk, "營業稅申報的期限", QUESTION)
    firm.send(customer, firm.desk, raw)
    work = firm.box(firm.chen).wait_for(lambda m: customer in plain(m))
    return Desk(firm, daemon, customer, work)


def test_he_reads_the_question_and_answers_it_with_one_key(desk: Desk) -> None:
    with desk.mutt() as mutt:
        shown = mutt.screen()
        mutt.reply(WORDS)
        quoted = mutt.quoted
    words = desk.words()
    desk.daemon.wait_for("first_response_recorded", ticket=desk.ticket)

    assert all(line in shown for line in QUESTION.split("\n"))
    assert desk.customer in quoted  # his program had quoted the card, and all of it stood below his words
    assert words.startswith(WORDS + "\n")
    assert QUESTION.split("\n")[0] not in words
    assert [is_automatic(mail) for mail in desk.got()] == [True, False]


#: How neomutt may be set up, and where people write then.
SETUPS = {
    "indented with a bar": ('set indent_string = "| "', "", ABOVE),
    "no mark before what is quoted": ('set indent_string = ""', "", ABOVE),
    "a Chinese line above the quote": ('set attribution = "於 %d，%n 寫道："', "", ABOVE),
    "no line above the quote": ('set attribution = ""', "", ABOVE),
    "with the header in the quote": ("set header = yes", "", ABOVE),
    "format=flowed": ("set text_flowed = yes", "", ABOVE),
    "from the address it was sent to": ("set reverse_name = yes\nset reply_with_xorig = yes", "", ABOVE),
    "a signature below": ("", SIGNATURE, ABOVE),
    "a signature on top": ("set sig_on_top = yes", SIGNATURE, ABOVE),
    "Big5": ('set send_charset = "big5"', "", ABOVE),
    "GBK": ('set send_charset = "gb18030"', "", ABOVE),
    "nothing quoted": ("set include = no", "", ABOVE),
    "everything quoted deleted": ("", "", INSTEAD),
}


@pytest.mark.parametrize("setup", SETUPS.values(), ids=SETUPS)
def test_however_his_program_is_set_up_the_customer_gets_his_words_alone(
    desk: Desk, setup: tuple[str, str, str]
) -> None:
    rc, signature, where = setup
    with desk.mutt(rc, signature) as mutt:
        mutt.reply(WORDS, where=where)
    words = desk.words()

    assert words.startswith(WORDS + "\n")
    assert QUESTION.split("\n")[0] not in words
    assert not any(line in words for line in SIGNATURE.split("\n"))


def test_the_key_for_a_group_reply_brings_the_answer_to_the_customer_once(desk: Desk) -> None:
    with desk.mutt() as mutt:
        mutt.reply(WORDS, key="g")

    assert desk.words().startswith(WORDS + "\n")
    assert [is_automatic(mail) for mail in desk.got()] == [True, False]


@pytest.mark.parametrize(("key", "prompt"), [("c", "Cc:"), ("b", "Bcc:")])
def test_a_colleague_in_copy_is_no_business_of_the_customers(desk: Desk, key: str, prompt: str) -> None:
    with desk.mutt() as mutt:
        mutt.compose("r", WORDS)
        mutt.add(key, prompt, desk.firm.lin)
        mutt.send()
    answer = desk.answer()

    assert plain(answer).replace("\r\n", "\n").startswith(WORDS + "\n")
    assert desk.firm.lin not in everything(answer)
    assert [is_automatic(mail) for mail in desk.got()] == [True, False]


def test_words_below_the_whole_quote_arrive_alone_or_not_at_all(desk: Desk) -> None:
    """Bottom-posting, as neomutt's own habit is: the card stands above what he wrote."""
    with desk.mutt() as mutt:
        mutt.reply(WORDS, where=BELOW)
    _arrives_alone_or_not_at_all(desk, WORDS)


def test_words_on_both_sides_of_the_quote_arrive_whole_or_not_at_all(desk: Desk) -> None:
    with desk.mutt() as mutt:
        mutt.reply(LAST, where=AROUND)
    _arrives_alone_or_not_at_all(desk, LAST, times=2)


def test_words_below_a_signature_on_top_arrive_whole_or_not_at_all(desk: Desk) -> None:
    with desk.mutt("set sig_on_top = yes", SIGNATURE) as mutt:
        mutt.reply(WORDS, where=BELOW)
    _arrives_alone_or_not_at_all(desk, WORDS)


def test_a_signature_without_its_dashes_goes_or_holds_the_words(desk: Desk) -> None:
    """Nothing says that it is one, and it shows his private address and number."""
    with desk.mutt("unset sig_dashes", SIGNATURE) as mutt:
        mutt.reply(WORDS)
    _arrives_alone_or_not_at_all(desk, WORDS)


def _arrives_alone_or_not_at_all(desk: Desk, words: str, times: int = 1) -> None:
    """Never half of it; beside it at most what the customer wrote herself. What is held is given back."""
    queued = wait_until(
        lambda: (
            desk.daemon.said("answer_queued", ticket=desk.ticket)
            or desk.daemon.said("reply_held", ticket=desk.ticket)
            or desk.daemon.said("question_asked", ticket=desk.ticket)
        ),
        "the reply has been decided",
    )
    mails = [mail for mail in desk.got() if is_answer(mail)]
    if queued[0]["event"] == "answer_queued":
        assert desk.words().count(words) == times
        quoted = [line.lstrip("> ") for line in desk.words().split("\n") if line.startswith(">")]
        assert set(quoted) <= {"", *QUESTION.split("\n")}  # her own words, and nobody else's
    else:
        assert mails == []
        told = desk.firm.box(desk.firm.chen).wait_for(lambda m: words.split("\n")[0] in plain(m))
        assert all(line in plain(told) for line in words.split("\n"))


def test_a_note_stays_inside(desk: Desk) -> None:
    with desk.mutt(signature=SIGNATURE) as mutt:
        mutt.reply("！備註\n這位客戶欠款三期，先問主管。")
    desk.daemon.wait_for("note_recorded", ticket=desk.ticket)

    assert desk.got_nothing()


@pytest.mark.parametrize("line", ["!close", "！結案", "！办结", "! Close"])
def test_he_closes_it_with_a_line(desk: Desk, line: str) -> None:
    with desk.mutt(signature=SIGNATURE) as mutt:
        mutt.reply(line)
    desk.daemon.wait_for("ticket_closed", ticket=desk.ticket)

    assert desk.got_nothing()


def test_he_answers_and_closes_in_one_mail(desk: Desk) -> None:
    with desk.mutt(signature=SIGNATURE) as mutt:
        mutt.reply(f"!close\n{WORDS}")
    words = desk.words()
    desk.daemon.wait_for("ticket_closed", ticket=desk.ticket)

    assert words.startswith(WORDS + "\n")
    assert "close" not in words


def test_a_mistyped_command_reaches_nobody_and_comes_back(desk: Desk) -> None:
    with desk.mutt() as mutt:
        mutt.reply(f"！結按\n{WORDS}")
    desk.daemon.wait_for("reply_held", ticket=desk.ticket, why="unknown_command")
    told = desk.firm.box(desk.firm.chen).wait_for(lambda m: "！結按" in plain(m))

    assert desk.got_nothing()
    assert all(line in plain(told) for line in WORDS.split("\n"))


def test_a_first_line_that_reads_like_a_note_is_asked_about(desk: Desk) -> None:
    with desk.mutt() as mutt:
        mutt.reply("內部：這位客戶欠款三期，先問主管。")
    desk.daemon.wait_for("reply_held", ticket=desk.ticket)

    assert desk.got_nothing()


@pytest.mark.parametrize(
    "signature",
    [
        pytest.param("", id="unsigned"),
        pytest.param(SIGNATURE, id="signed"),
    ],
)
def test_a_reply_in_which_nothing_was_written_reaches_nobody(desk: Desk, signature: str) -> None:
    """Sent by a slip of the hand: all that stands in it is the quote."""
    with desk.mutt(signature=signature) as mutt:
        mutt.reply("")

    assert desk.got_nothing()
    assert desk.daemon.said("reply_held", ticket=desk.ticket)


def test_what_he_forwards_to_a_colleague_concerns_no_customer(desk: Desk) -> None:
    with desk.mutt() as mutt:
        mutt.writes("請幫忙看一下。")
        mutt.press("f")
        mutt.see("To:")
        mutt.type(desk.firm.lin)
        mutt.see("NeoMutt: Compose")
        mutt.send()
    desk.firm.box(desk.firm.lin).wait_for(lambda m: "請幫忙看一下" in plain(m))

    assert desk.got_nothing()


@pytest.mark.parametrize(
    ("to", "as_file"),
    [
        ("the desk", "yes"),
        ("the desk", "no"),
        ("the address of the ticket", "yes"),
        ("the address of the ticket", "no"),
    ],
)
def test_the_work_mail_forwarded_to_the_desk_reaches_no_customer(desk: Desk, to: str, as_file: str) -> None:
    """All of the card is in it, quoted or as a mail in a file."""
    with desk.mutt(f"set mime_forward = {as_file}") as mutt:
        mutt.writes("請處理。")
        mutt.press("f")
        mutt.see("To:")
        mutt.type(desk.firm.desk if to == "the desk" else answer_address(desk.work))
        mutt.see("NeoMutt: Compose")
        mutt.send()

    assert desk.got_nothing()


def test_the_work_mail_sent_on_as_it_is_reaches_no_customer(desk: Desk) -> None:
    """neomutt's `b`: the same octets, to the ticket's own address."""
    with desk.mutt() as mutt:
        mutt.press("b")
        mutt.see("Bounce message to:")
        mutt.type(answer_address(desk.work))
        mutt.see("(")
        mutt.press("y")
        mutt.see("Message bounced")

    assert desk.got_nothing()


def test_two_answers_from_two_programs_reach_the_customer_as_written(desk: Desk) -> None:
    """His second thoughts, from the same work mail."""
    with desk.mutt() as mutt:
        mutt.reply(WORDS)
        desk.words()
        mutt.see("Mail sent")
        mutt.reply(LAST)
    later = desk.firm.box(desk.customer).wait_for(lambda m: is_answer(m) and LAST in plain(m))

    assert leaked(later, desk.work, desk.firm) == []
    assert len([m for m in desk.got() if is_answer(m)]) == 2
