"""What stands behind the commands that change a ticket: read, or refused; never guessed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.deskrun import policy

from routing.commands import CommandName, parse
from routing.merging import number_in, tickets_named
from routing.naming import kind_called, topic_called
from routing.papers import items_named
from routing.policy import Topic
from routing.recording import Recorded, asked_record, people_named
from routing.urgency import asked_urgency
from routing.words import Kind

TOPICS = {
    "tax_filing": Topic(key="tax_filing", names={"zh-Hant": "納稅申報", "zh-Hans": "纳税申报", "en": "Tax filing"})
}
DESK = policy(topics=TOPICS)


@pytest.mark.parametrize(
    "name", ["tax_filing", "Tax filing", "TAX-FILING", "tax  filing", "納稅申報", "纳税申报", "ｔａｘ filing"]
)
def test_a_topic_by_any_of_its_names(name: str) -> None:
    assert topic_called(DESK, name) == "tax_filing"


@pytest.mark.parametrize("name", ["", " ", "tax", "申報", "filing tax", "_"])
def test_no_topic_is_guessed(name: str) -> None:
    assert topic_called(DESK, name) is None


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("客訴", Kind.COMPLAINT),
        ("投诉", Kind.COMPLAINT),
        ("Complaint", Kind.COMPLAINT),
        ("業務辦理", Kind.BUSINESS),
        ("意见反馈", Kind.FEEDBACK),
        ("諮詢", Kind.CONSULTATION),
        ("question", Kind.CONSULTATION),
        ("", None),
        ("spam", None),
    ],
)
def test_a_kind_by_any_of_its_names(name: str, kind: Kind | None) -> None:
    assert kind_called(name) == kind


@pytest.mark.parametrize(
    ("argument", "number"),
    [
        *(("1042", 1042), ("#1042", 1042), ("＃１０４２", 1042), (" # 7", 7)),
        *(("", None), ("1042 和 1043", None), ("mei", None), ("9" * 40, None)),
    ],
)
def test_a_number_is_a_number_alone(argument: str, number: int | None) -> None:
    assert number_in(argument) == number


def test_the_tickets_of_a_mail_are_those_of_its_commands() -> None:
    assert tickets_named("！合併 1042\n!merge #7\n\n!merge 9") == {1042, 7, 9}
    assert tickets_named("您好\n!merge 9") == set()


@pytest.mark.parametrize(
    ("argument", "items"),
    [
        ("身分證、存摺", ("身分證", "存摺")),
        ("ID card, bank  book,", ("ID card", "bank book")),
        ("a；a;b", ("a", "b")),
        ("", None),
        ("、，", None),
        ("x" * 81, None),
        (",".join(map(str, range(21))), None),
    ],
)
def test_papers_are_named_one_by_one(argument: str, items: tuple[str, ...] | None) -> None:
    assert items_named(argument) == items


@pytest.mark.parametrize(
    ("argument", "is_urgent"),
    [("", True), ("yes", True), ("no", False), ("不", False), ("ＮＯ", False), ("please", None), ("不要忘了", None)],
)
def test_urgency_is_yes_or_no(argument: str, is_urgent: bool | None) -> None:
    assert asked_urgency(argument) == is_urgent


@pytest.mark.parametrize(
    ("argument", "recorded"),
    [
        ("call 0912 345 678", Recorded("phone", "0912 345 678", "tel:+886912345678", False)),
        ("電話 +85223456789 待辦", Recorded("phone", "+85223456789", "tel:+85223456789", True)),
        ("LINE Lee@Customer.example", Recorded("line", "Lee@Customer.example", "mailto:lee@customer.example", False)),
        ("walk-in 李 大華 open", Recorded("visit", "李 大華", "", True)),
        ("李大華", Recorded("other", "李大華", "", False)),
        ("微信", Recorded("wecom", "", "", False)),
        ("", Recorded()),
        ("call chen@firm.example", Recorded("phone", "chen@firm.example", "", False)),
        ("call 123", Recorded("phone", "123", "", False)),
    ],
)
def test_a_record_names_a_way_and_a_customer(argument: str, recorded: Recorded) -> None:
    assert asked_record(argument, DESK) == recorded


def test_the_people_of_a_mail_are_those_of_its_commands() -> None:
    named = people_named("!record call 0912345678\n!record visit 李大華\n\n說了。", DESK)

    assert named == ({"tel:+886912345678"}, {"李大華"})
    assert people_named("說了。\n!record call 0912345678", DESK) == (set(), set())


@given(st.text(max_size=200))
def test_nothing_that_may_be_written_behind_a_command_breaks_it(argument: str) -> None:
    topic_called(DESK, argument)
    kind_called(argument)
    number_in(argument)
    items_named(argument)
    asked_urgency(argument)
    asked_record(argument, DESK)
    people_named(f"!record {argument}", DESK)


@pytest.mark.parametrize("line", ["！等3天", "！等 3天", "!wait 3d", "！等待 週五", "！等三天", "！等兩週"])
def test_waiting_is_written_as_it_is_said(line: str) -> None:
    [command] = parse(line).commands

    assert command.name is CommandName.WAIT


@pytest.mark.parametrize("line", ["！等一下我再回覆您", "！等您的消息"])
def test_a_sentence_about_waiting_is_no_command(line: str) -> None:
    assert parse(line).commands == ()
