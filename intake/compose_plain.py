"""Tables for those who read text: columns aligned, Chinese characters counted as the two columns they take."""

from __future__ import annotations

from intake.compose_tree import Leaf, Node
from intake.compose_words import columns, pad

MAX_WIDTH = 100  # columns of a table; a wider one is read cell by cell
MAX_COLUMNS = 12
_GAP = "  "


def with_plain_tables(node: Node) -> Node:
    """The tree with every table of data as lines of text; a table that only places things stays as it is."""
    inside: list[Node | Leaf] = []
    for one in node.inside:
        if isinstance(one, Leaf):
            inside.append(one)
            continue
        drawn = _drawn(one) if one.tag == "table" else ""
        inside.append(Node("pre", {}, [Leaf("", drawn)]) if drawn else with_plain_tables(one))
    return Node(node.tag, node.attributes, inside)


def _drawn(table: Node) -> str:
    """A table of data as text; "" if it has cells of several lines, pictures, links or cells across columns."""
    rows = [[one for one in row.inside if isinstance(one, Node)] for row in table.nodes() if row.tag == "tr"]
    cells = [cell for row in rows for cell in row]
    if not cells or max(map(len, rows)) < 2 or max(map(len, rows)) > MAX_COLUMNS:
        return ""
    if sum(node.tag == "table" for node in table.nodes()) > 1 or not all(map(_is_simple, cells)):
        return ""
    texts = [[" ".join("".join(leaf.text for leaf in cell.leaves()).split()) for cell in row] for row in rows]
    widths = [max(columns(row[n]) for row in texts if n < len(row)) for n in range(max(map(len, texts)))]
    if sum(widths) + len(_GAP) * len(widths) > MAX_WIDTH:
        return ""
    return "\n".join(_row(row, rows[number], widths) for number, row in enumerate(texts))


def _row(texts: list[str], cells: list[Node], widths: list[int]) -> str:
    placed = [
        " " * (width - columns(text)) + text if _is_right(cell) else pad(text, width)
        for text, cell, width in zip(texts, cells, widths, strict=False)
    ]
    return _GAP.join(placed).rstrip()


def _is_right(cell: Node) -> bool:
    nodes = list(cell.nodes())
    return any(
        n.attributes.get("align") == "right" or "text-align:right" in n.attributes.get("style", "") for n in nodes
    )


def _is_simple(cell: Node) -> bool:
    if any(name in cell.attributes for name in ("colspan", "rowspan")):
        return False
    if any(node.tag in ("a", "ul", "ol", "pre", "blockquote") for node in cell.nodes()):
        return False
    shown = [leaf for leaf in cell.leaves() if leaf.tag or leaf.text.strip()]
    return not any(leaf.tag in ("img", "hr") for leaf in shown) and len({leaf.line for leaf in shown}) <= 1
