"""His address and his number, in any spelling, become the desk's and the hotline; nobody else's do."""

from __future__ import annotations

import time

import pytest

from routing.masking import masks_of

MASKS = masks_of(["chen@firm.example", "yc.chen@private.example"], ["+886937865201"], "support@firm.example", "HOTLINE")

NUMBERS = """\
0937865201
0937-865-201
0937 865 201
0937–865–201
0937.865.201
(0937) 865-201
（0937）865201
+886937865201
+886 937 865 201
+886-937-865-201
+886 (0)937-865-201
886937865201
00886 937865201
００８８６ 937 865 201
０９３７８６５２０１
０９３７－８６５－２０１
＋886 937865201
0937\N{NO-BREAK SPACE}865\N{NO-BREAK SPACE}201
937865201
""".splitlines()


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("around", ["{}", "手機{}，請來電", "Tel:{}/分機 203", "203 {} 7", "tel:{}\n"])
def test_every_spelling_of_his_number_becomes_the_hotline(number: str, around: str) -> None:
    assert MASKS.put_on(around.format(number)) == (around.format("HOTLINE"), 1)


@pytest.mark.parametrize(
    "other",
    ["0937865202", "10937865201", "09378652011", "0937-865-20", "發票 AB-37865201", "1,093,786,520", "+81 937865201x0"],
)
def test_another_number_is_left_alone(other: str) -> None:
    found = MASKS.put_on(other)[0]

    assert found == other or "+81" in other


ADDRESSES = ["chen@firm.example", "Chen@Firm.Example", "ｃｈｅｎ＠ｆｉｒｍ．ｅｘａｍｐｌｅ", "chen＠firm.example"]


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("around", ["{}", "請寄{}。", "<{}>", "mailto:{}?subject=x", "E-mail：{}，謝謝", "{}\n"])
def test_every_spelling_of_his_address_becomes_the_desks(address: str, around: str) -> None:
    assert MASKS.put_on(around.format(address)) == (around.format("support@firm.example"), 1)


@pytest.mark.parametrize(
    "other", ["wuchen@firm.example", "a.chen@firm.example", "chen@firm.example.com", "chen@firm.examples", "chen@firm"]
)
def test_a_longer_address_is_somebody_elses(other: str) -> None:
    assert MASKS.put_on(other) == (other, 0)


def test_without_a_hotline_his_number_becomes_the_desks_address_and_without_that_nothing_is_replaced() -> None:
    number = "0937865201"

    assert masks_of([], [number], "support@firm.example", "").put_on(number) == ("support@firm.example", 1)
    assert masks_of(["a@b"], [number], "", "").put_on(f"a@b {number}") == (f"a@b {number}", 0)


def test_a_number_that_is_the_hotline_is_the_firms() -> None:
    masks = masks_of([], ["+886223450000"], "support@firm.example", "+886 2 2345 0000")

    assert masks.put_on("02-2345-0000") == ("02-2345-0000", 0)


def test_what_is_put_in_is_put_in_as_it_is() -> None:
    assert masks_of([], ["+886937865201"], "x", r"\1\g<0>").put_on("0937865201") == (r"\1\g<0>", 1)


@pytest.mark.parametrize("piece", ["0", "0 ", "+886 ", "9-", "(0", "chen@", "chen@firm.example", "0937 865 20"])
def test_g9_a_hostile_text_costs_little(piece: str) -> None:
    began = time.process_time()

    MASKS.put_on((piece * 200_000)[:200_000])

    assert time.process_time() - began < 2
