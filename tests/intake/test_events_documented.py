"""docs/events.md lists every event that the program writes, with every field, and nothing else."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from intake.command.story import SENTENCES

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "events.md"
MODULES = sorted(path for p in ("intake", "channels", "routing", "store") for path in (ROOT / p).rglob("*.py"))

#: Columns of an event: they need no line of their own in the table.
COLUMNS = frozenset({"ticket", "message", "customer", "agent", "outbox"})
LEVELS = frozenset({"debug", "info", "warning", "error", "exception", "critical"})


def is_name(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and bool(re.fullmatch("[a-z_]+", node.value))


def names_in(node: ast.expr | None) -> set[str]:
    """The event names that an expression may be: a literal, either side of a choice, the values of a table."""
    if node is None:
        return set()
    if isinstance(node, ast.Constant):
        return {str(node.value)} if is_name(node) else set()
    if isinstance(node, ast.IfExp):
        return names_in(node.body) | names_in(node.orelse)
    if isinstance(node, ast.Dict):
        return {name for value in node.values for name in names_in(value)}
    return set()


def called(node: ast.Call) -> str:
    """`desk.tell` of a call `desk.tell(…)`, the last two names at most."""
    func = node.func
    if isinstance(func, ast.Attribute):
        inner = func.value
        head = inner.id if isinstance(inner, ast.Name) else inner.attr if isinstance(inner, ast.Attribute) else ""
        return f"{head}.{func.attr}"
    return func.id if isinstance(func, ast.Name) else ""


def keyword(node: ast.Call, name: str) -> ast.expr | None:
    return next((k.value for k in node.keywords if k.arg == name), None)


def first(node: ast.Call) -> ast.expr | None:
    return node.args[0] if node.args else None


def assigned(tree: ast.AST) -> dict[str, ast.expr]:
    """Local names that are given an expression: `kind = "a" if … else "b"`, `names = {…}`, `data = {…}`."""
    found: dict[str, ast.expr] = {}
    for node in ast.walk(tree):
        target = (
            node.targets[0]
            if isinstance(node, ast.Assign)
            else node.target
            if isinstance(node, ast.AnnAssign)
            else None
        )
        value = getattr(node, "value", None)
        if isinstance(target, ast.Name) and isinstance(value, ast.expr):
            found[target.id] = value
    return found


def resolved(node: ast.expr | None, local: dict[str, ast.expr]) -> ast.expr | None:
    """What a name stands for within its function; `names[key]` is the table."""
    if isinstance(node, ast.Subscript):
        node = node.value
    return local.get(node.id, node) if isinstance(node, ast.Name) else node


def keys_of(node: ast.expr | None) -> set[str]:
    if not isinstance(node, ast.Dict):
        return set()
    return {k.value for k in node.keys if isinstance(k, ast.Constant) and isinstance(k.value, str)}


def fields_given(scope: ast.AST) -> set[str]:
    """What a function that makes events adds to the fields that it is handed."""
    calls = (n for n in ast.walk(scope) if isinstance(n, ast.Call) and called(n) == "Event")
    return {key for call in calls for key in keys_of(keyword(call, "data"))}


def written_in(source: str) -> Iterator[tuple[str, str, set[str]]]:
    """("event" or "log", kind, fields) for every place that writes one."""
    tree = ast.parse(source)
    scopes = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    shared = {key for scope in scopes if scope.name == "_event" for key in fields_given(scope)}
    for scope in scopes:
        local = assigned(scope)
        for node in ast.walk(scope):
            if not isinstance(node, ast.Call):
                continue
            name, said = called(node), {k.arg for k in node.keywords if k.arg}
            if name in ("desk.tell", "self.tell"):
                sort, kinds, fields = "event", names_in(resolved(first(node), local)), said
            elif name == "Event":
                data = resolved(keyword(node, "data"), local)
                sort, kinds, fields = "event", names_in(resolved(keyword(node, "kind"), local)), keys_of(data)
            elif name == "_event":
                sort, kinds, fields = "event", names_in(first(node)), said | shared
            elif name.startswith("log.") and name.removeprefix("log.") in LEVELS:
                sort, kinds, fields = "log", names_in(first(node)), said - {"exc_info"}
            else:
                continue
            yield from ((sort, kind, fields - COLUMNS) for kind in kinds)


@cache
def in_the_code() -> dict[str, dict[str, set[str]]]:
    found: dict[str, dict[str, set[str]]] = {"event": defaultdict(set), "log": defaultdict(set)}
    for path in MODULES:
        for sort, kind, fields in written_in(path.read_text("utf-8")):
            found[sort][kind] |= fields
    # An event is a log line as well, under the same name and with the same fields.
    for kind in found["log"].keys() & found["event"].keys():
        found["event"][kind] |= found["log"].pop(kind)
    return found


def in_the_document() -> dict[str, dict[str, set[str]]]:
    """The rows of the two tables: `| name | fields | sentence |`."""
    found: dict[str, dict[str, set[str]]] = {"event": {}, "log": {}}
    sort = ""
    for line in DOCUMENT.read_text("utf-8").splitlines():
        if line.startswith("## "):
            sort = "event" if "event log" in line else "log" if "only" in line else ""
        row = re.match(r"\| `([a-z_]+)` \|([^|]*)\|", line)
        if row and sort:
            found[sort][row[1]] = set(re.findall(r"`([a-z_0-9]+)`", row[2])) - COLUMNS
    return found


def described(kinds: dict[str, set[str]]) -> set[str]:
    return {f"{kind}: {', '.join(sorted(fields)) or '-'}" for kind, fields in kinds.items()}


@pytest.mark.parametrize("sort", ["event", "log"])
def test_the_document_and_the_code_name_the_same(sort: str) -> None:
    code, document = described(in_the_code()[sort]), described(in_the_document()[sort])

    assert sorted(code - document) == [], "in the code, not (so) in docs/events.md"
    assert sorted(document - code) == [], "in docs/events.md, not (so) in the code"


def test_the_search_finds_what_there_is() -> None:
    events = in_the_code()["event"]

    assert {"message_accepted", "ticket_opened", "target_warned", "target_breached", "delivered"} <= events.keys()
    assert {"due_at", "budget", "calendar"} <= events["target_set"]


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('def f(desk):\n    desk.tell("a_b", ticket=1, why="x")', [("event", "a_b", {"why"})]),
        ('def f():\n    data = {"x": 1}\n    return Event(at=0, kind="a", data=data)', [("event", "a", {"x"})]),
        ('def f(y):\n    k = "a" if y else "b"\n    desk.tell(k)', [("event", "a", set()), ("event", "b", set())]),
        ('def f(y):\n    n = {1: "a"}\n    Event(kind=n[y], at=0)', [("event", "a", set())]),
        ('def f():\n    log.warning("c_d", loop=1, message=2)', [("log", "c_d", {"loop"})]),
        ('def f():\n    tell(log, x)\n    log.info("Not a name")', []),
    ],
)
def test_what_counts_as_writing_an_event(source: str, found: list[tuple[str, str, set[str]]]) -> None:
    assert sorted(written_in(source), key=str) == found


def test_show_has_a_sentence_for_every_event() -> None:
    assert sorted(in_the_code()["event"].keys() - SENTENCES.keys()) == []
    assert sorted(SENTENCES.keys() - in_the_code()["event"].keys()) == []
