"""A sanitised page as a tree: what stands in it, line by line, and the same page again with less in it.

Made for `compose_sanitise.sanitise_reply` alone: tags are balanced, every value stands in quotes, nothing is a
comment. A page of another shape is refused (None), never guessed at. Linear; the depth is bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import unescape

from intake.compose_sanitise import BULLET

MAX_DEPTH = 150  # elements within elements: the walks below recurse

_TOKEN = re.compile(r"<(/?)([a-z][a-z0-9]*)((?: [a-z]+=\"[^\"]*\")*)>|([^<]+)")
_ATTRIBUTE = re.compile(r" ([a-z]+)=\"([^\"]*)\"")
_VOID = frozenset({"br", "hr", "img", "col"})
#: Their beginning and their end each begin a line of what is read.
_NAMES = "blockquote center dd div dl dt h1 h2 h3 h4 h5 h6 li ol p pre table caption tbody td tfoot th thead tr ul"
_BLOCKS = frozenset(_NAMES.split())


@dataclass(slots=True)
class Leaf:
    """What a reader sees: words, a picture, a rule, the end of a line."""

    tag: str  # "" for words; else img, hr, br
    text: str = ""  # unescaped
    attributes: dict[str, str] = field(default_factory=dict)
    line: int = 0  # of the page


@dataclass(slots=True)
class Node:
    """An element with what is inside it."""

    tag: str
    attributes: dict[str, str] = field(default_factory=dict)
    inside: list[Node | Leaf] = field(default_factory=list)

    def leaves(self) -> Iterator[Leaf]:
        for one in self.inside:
            if isinstance(one, Leaf):
                yield one
            else:
                yield from one.leaves()

    def nodes(self) -> Iterator[Node]:
        """Every element in it, itself first."""
        yield self
        for one in self.inside:
            if isinstance(one, Node):
                yield from one.nodes()


def parse(page: str) -> Node | None:
    """The tree of a page that the sanitiser wrote; its root has no tag. None if it has another shape or is too deep."""
    root = Node("")
    open_nodes = [root]
    line = pre = position = 0
    for found in _TOKEN.finditer(page):
        if found.start() != position:
            return None
        position = found.end()
        closing, tag, attributes, words = found.groups()
        here = open_nodes[-1]
        if words is not None:
            pieces = words.split("\n") if pre else [words]
            for number, piece in enumerate(pieces):
                line += number > 0
                here.inside.append(Leaf("", unescape(piece) + "\n" * (number < len(pieces) - 1), line=line))
            continue
        line += tag in _BLOCKS or tag in ("br", "hr")
        pre += (tag == "pre") * (-1 if closing else 1)
        if closing:
            if here.tag != tag or len(open_nodes) == 1:
                return None
            open_nodes.pop()
            if _is_bullet(here):
                open_nodes[-1].inside[-1] = Leaf("", "•\u00a0", line=line)
            continue
        values = {name: unescape(value) for name, value in _ATTRIBUTE.findall(attributes)}
        if tag in _VOID:
            here.inside.append(Leaf(tag, attributes=values, line=line))
            line += tag == "hr"
            continue
        node = Node(tag, values)
        here.inside.append(node)
        open_nodes.append(node)
        if len(open_nodes) > MAX_DEPTH:
            return None
    return root if len(open_nodes) == 1 and position == len(page) else None


def _is_bullet(node: Node) -> bool:
    """Outlook writes the bullets of its lists as a letter in a font of pictures."""
    if BULLET not in node.attributes.get("style", "").split(";"):
        return False
    return len("".join(leaf.text for leaf in node.leaves()).strip()) == 1 and node.tag == "span"


def letters(text: str) -> str:
    """What two ways of writing the same words have in common."""
    return "".join(filter(str.isalnum, text))


def lines(root: Node) -> list[str]:
    """The letters of each line of the page, by number; "" where a line shows none."""
    count = 0
    found: dict[int, list[str]] = {}
    for leaf in root.leaves():
        count = max(count, leaf.line + 1)
        if not leaf.tag:
            found.setdefault(leaf.line, []).append(leaf.text)
    return [letters("".join(found.get(number, ()))) for number in range(count)]


def without(node: Node, kept: frozenset[int]) -> Node:
    """The tree with the kept lines alone: elements that are left with nothing go, but for the cells of a kept row."""
    inside: list[Node | Leaf] = []
    for one in node.inside:
        if isinstance(one, Leaf):
            if one.line in kept:
                inside.append(one)
        else:
            less = without(one, kept)
            if less.inside or one.tag in ("td", "th"):
                inside.append(less)
    if not any(not isinstance(one, Node) or one.inside for one in inside):
        inside = []
    return Node(node.tag, node.attributes, inside)
