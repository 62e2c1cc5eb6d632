"""Target rules and customer classes as config.toml writes them: names that lead nowhere, rules that never count.

What is wrong is collected, never raised: the caller shows everything at once.
"""

from __future__ import annotations

from channels.message import Medium
from intake.config_names import Tables
from intake.config_tables import TargetRuleTable
from intake.config_words import Problem, closest
from routing.budgets import BadBudget, parse_budget
from routing.policy import Budget, CustomerClass, TargetRule
from routing.target_rules import BUDGETS, covers


def classes(tables: Tables, problems: list[Problem]) -> tuple[CustomerClass, ...]:
    """[[customer_classes]] in their order."""
    found: list[CustomerClass] = []
    owners: dict[str, str] = {}
    for place, table in tables.customer_classes:
        path = f"customer_classes[{place}]"
        if any(one.name == table.name for one in found):
            problems.append(Problem(f"{path}.name", f'"{table.name}" stands twice', "put its senders into one"))
        for sender in map(str.lower, table.senders):
            if "@" not in sender or sender.endswith("@"):
                mend = 'write "a@b.example" or "@b.example"'
                problems.append(Problem(f"{path}.senders", f'"{sender}" is no sender', mend))
            elif owners.setdefault(sender, table.name) != table.name:
                said = f"{sender} is of class {owners[sender]} already"
                problems.append(Problem(f"{path}.senders", said, "a sender is of one class"))
        found.append(CustomerClass(name=table.name, senders=tuple(map(str.lower, table.senders))))
    return tuple(found)


def rules(tables: Tables, topics: frozenset[str], problems: list[Problem]) -> tuple[TargetRule, ...]:
    """[[target_rules]] in their order; those that are wrong are reported and left out."""
    found: list[tuple[int, TargetRule]] = []
    names: dict[str, int] = {}
    for place, table in tables.target_rules:
        reading = _Reading(f"target_rules[{place}]", table, problems)
        if reading.table.name in names:
            reading.wrong("name", f'"{table.name}" stands twice', "the log tells rules by their names")
        names[table.name] = place
        rule = reading.rule(tables, topics)
        if rule is None:
            continue
        first = next((earlier for earlier in found if covers(earlier[1], rule)), None)
        if first is not None:
            reading.wrong(
                "",
                f'"{rule.name}" never counts: whatever it holds for, target_rules[{first[0]}] holds for',
                "put it above that one, or take it out",
            )
        found.append((place, rule))
    return tuple(rule for _, rule in found)


class _Reading:
    """One rule being read."""

    def __init__(self, path: str, table: TargetRuleTable, problems: list[Problem]) -> None:
        self.path, self.table, self.problems = path, table, problems
        self._before = len(problems)

    def wrong(self, key: str, message: str, mend: str) -> None:
        self.problems.append(Problem(f"{self.path}.{key}" if key else self.path, message, mend))

    def rule(self, tables: Tables, topics: frozenset[str]) -> TargetRule | None:
        table = self.table
        media = {medium.value for medium in Medium}
        self._known("channels", "channel or medium", table.channels, tables.names("channels") | media)
        self._known("topics", "topic", table.topics, topics)
        self._known("teams", "team", table.teams, tables.names("teams"))
        self._known("classes", "class", table.classes, {one.name for _, one in tables.customer_classes})
        budgets = self._budgets()
        if len(self.problems) > self._before:
            return None
        if not budgets:
            self.wrong("", f'"{table.name}" gives no time', 'write for example first_response = "2wh"')
            return None
        return TargetRule(
            name=table.name,
            channels=table.channels,
            kinds=table.kinds,
            topics=table.topics,
            classes=table.classes,
            teams=table.teams,
            urgent=table.urgent,
            budgets=budgets,
        )

    def _known(self, key: str, what: str, names: tuple[str, ...], offered: frozenset[str] | set[str]) -> None:
        for name in names:
            if name not in offered:
                mend = closest(name, offered) if offered else "there is none"
                self.wrong(key, f'there is no {what} "{name}"', mend)

    def _budgets(self) -> dict[str, Budget]:
        found = {}
        for key in BUDGETS:
            text = getattr(self.table, key)
            if text is None:
                continue
            try:
                found[key] = parse_budget(text)
            except BadBudget as error:
                self.wrong(key, str(error), error.mend)
        return found
