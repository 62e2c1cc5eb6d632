"""[[target_rules]] and [[customer_classes]]: what cannot be meant is refused, with its place and what to write."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from channels.message import Medium
from intake.config import ConfigError, load
from routing.sla import targets_for
from routing.words import Kind

DESK = """
[desk]
firm = "Lotus"
region = "TW"
[store]
url = "sqlite:///intake.db"
[tokens]
key = { file = "token.key" }
[channels.site]
type = "webchat"
origins = ["https://www.firm.example"]
[agents.chen]
display_name = "陳"
addresses = ["chen@firm.example"]
"""


def written(folder: Path, text: str) -> Path:
    (folder / "token.key").write_text("0123456789abcdef" * 4 + "\n")
    path = folder / "config.toml"
    path.write_text(DESK + text, encoding="utf-8")
    return path


def refused(folder: Path, text: str) -> dict[str, tuple[str, str]]:
    with pytest.raises(ConfigError) as caught:
        load(written(folder, text))
    return {problem.path: (problem.message, problem.mend) for problem in caught.value.problems}


GOOD = """
[[customer_classes]]
name = "vip"
senders = ["@Big.example"]
[[target_rules]]
name = "vip"
classes = ["vip"]
first_response = "30s"
[[target_rules]]
name = "chat"
channels = ["chat", "site"]
kinds = ["business"]
topics = ["invoice"]
urgent = true
first_response = "20s"
resolution = "3wd"
"""


def test_a_good_table_is_read_and_counts(tmp_path: Path) -> None:
    policy = load(written(tmp_path, GOOD)).policy
    at = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)

    [first] = targets_for(
        policy, channel="site", medium=Medium.CHAT, kind=Kind.CONSULTATION, urgent=False, at=at, grade="vip"
    )
    assert (first.key, first.budget.written) == ("target_rules.vip/first_response", "30s")
    assert policy.classes[0].senders == ("@big.example",)
    assert policy.version != load(written(tmp_path, GOOD.replace("30s", "31s"))).policy.version


RULE = '[[target_rules]]\nname = "r"\n'
SOON = 'first_response = "2wh"'
CLASS = '[[customer_classes]]\nname = "vip"\n'


@pytest.mark.parametrize(
    ("text", "path", "message", "mend"),
    [
        (RULE, "target_rules[0]", '"r" gives no time', 'write for example first_response = "2wh"'),
        (RULE + 'first_response = "2 weeks"', "target_rules[0].first_response", '"2 weeks" is no budget', ""),
        (RULE + "first_response = 3", "target_rules[0].first_response", "", ""),
        (
            RULE + 'channels = ["sight"]\n' + SOON,
            "target_rules[0].channels",
            'there is no channel or medium "sight"',
            "site",
        ),
        (RULE + 'topics = ["invoise"]\n' + SOON, "target_rules[0].topics", 'there is no topic "invoise"', "invoice"),
        (RULE + 'kinds = ["complain"]\n' + SOON, "target_rules[0].kinds[0]", "", ""),
        (RULE + 'teams = ["b"]\n' + SOON, "target_rules[0].teams", 'there is no team "b"', ""),
        (RULE + 'classes = ["vip"]\n' + SOON, "target_rules[0].classes", 'there is no class "vip"', "there is none"),
        (RULE + 'fist_response = "2wh"', "target_rules[0].fist_response", "", "first_response"),
        (
            RULE + 'first_response = "2wh"\n[[target_rules]]\nname = "q"\nurgent = true\nfirst_response = "1wh"',
            "target_rules[1]",
            '"q" never counts: whatever it holds for, target_rules[0] holds for',
            "put it above that one",
        ),
        (RULE + SOON + "\n" + RULE + 'resolution = "2wd"', "target_rules[1].name", '"r" stands twice', "names"),
        ("[target_rules]\na = 1", "target_rules", "this must be a list of tables", "[[target_rules]]"),
        (
            CLASS + 'senders = ["big.example"]',
            "customer_classes[0].senders",
            '"big.example" is no sender',
            "@b.example",
        ),
        (CLASS + "senders = []", "customer_classes[0].senders", "", ""),
        (
            CLASS + 'senders = ["@x.example"]\n' + CLASS.replace("vip", "b") + 'senders = ["@X.example"]',
            "customer_classes[1].senders",
            "@x.example is of class vip already",
            "one class",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, text: str, path: str, message: str, mend: str) -> None:
    found = refused(tmp_path, text)

    assert path in found, found
    assert message in found[path][0]
    assert mend in found[path][1]


def test_a_rule_for_all_may_stand_last_with_what_those_above_do_not_give(tmp_path: Path) -> None:
    rest = RULE.replace('"r"', '"all"') + SOON + '\nresolution = "5wd"'
    text = RULE + 'urgent = true\nfirst_response = "1wh"\n' + rest

    policy = load(written(tmp_path, text)).policy

    assert [rule.name for rule in policy.target_rules] == ["r", "all"]
