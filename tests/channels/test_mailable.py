"""To which addresses a mail can be written: what stands in From may be anything."""

from __future__ import annotations

import pytest

from channels.message import mailable

UNMAILABLE = [
    "",
    "wang",
    "wang@",
    "@customer.example",
    "wang@customer.example&gt",
    "wang mei@customer.example",
    "wang@customer.example\r\nBcc: all@firm.example",
    "wang\x00@customer.example",
    "wang@other.example@customer.example",
    "wäng@customer.example",  # no relay but an SMTPUTF8 one takes it, and our headers are ASCII
    "x" * 400 + "@customer.example",
]


@pytest.mark.parametrize("address", UNMAILABLE, ids=repr)
def test_what_is_no_address_gets_no_mail(address: str) -> None:
    assert mailable(address) == ""


@pytest.mark.parametrize(
    ("address", "written"),
    [
        ("wang@customer.example", "wang@customer.example"),
        ("o'neil+tax@customer.example", "o'neil+tax@customer.example"),
        ('"wang mei"@customer.example', '"wang mei"@customer.example'),
        ("wang@[192.0.2.1]", "wang@[192.0.2.1]"),
        ("wang@公司.example", "wang@xn--55qx5d.example"),
    ],
)
def test_an_address_is_written_with_its_domain_in_ascii(address: str, written: str) -> None:
    assert mailable(address) == written
