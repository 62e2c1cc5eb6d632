"""An agent's HTML on its way to the customer: tables, lists, links and pictures, with exactly the words that may leave.

The guard has cleared words, links and files (PROMISES.md, G15); his mail's HTML holds more: the commands he typed, the
card that his client quoted below. So nothing is cut out by the marks of one client or another. The page is sanitised,
read line by line, and only those lines stay that are the cleared words, in their order, whole. What is left is turned
into text by another way and compared with the cleared words once more. Whatever does not fit, and the HTML is not
carried at all: the words go alone, as plain text. Time is linear but for a few attempts at where the words begin.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from urllib.parse import unquote

from channels.htmltext import to_text
from intake.compose_plain import with_plain_tables
from intake.compose_sanitise import BULLET, TIGHT, sanitise_reply
from intake.compose_tree import Leaf, Node, letters, lines, parse, without
from intake.mailbytes import File
from routing.guard import MARK
from routing.masking import Masks
from routing.tokens import find_canaries, find_tokens

MAX_BEGINNINGS = 20  # places that are tried for the first of the words
MAX_POSITIONS = 32  # ways in which the words may go on, where they are full of what a client may have added
MAX_WORDS = 200_000  # characters of an answer
PICTURES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp", "image/bmp"})
UNMASKED = Masks()
_SCHEMES = ("http://", "https://", "mailto:", "tel:")


@dataclass(frozen=True, kw_only=True, slots=True)
class Carried:
    """An answer's HTML as it leaves."""

    html: str  # what stands in the body
    plain: str  # the same for those who read text: tables aligned, addresses behind their links
    pictures: tuple[File, ...]  # shown in it, in order, with content ids of ours
    left_out: frozenset[str]  # content ids of files that stand in what his client quoted: not his, so not sent


class _NotCarried(Exception):
    """Why the HTML does not leave."""


def carry(
    html: str, words: str, *, links: Iterable[str], files: Sequence[File], seed: str, masks: Masks = UNMASKED
) -> Carried | str:
    """The HTML of an agent's mail with the cleared `words` alone, or why it cannot be carried.

    `html` is his mail's, as it came. `links` and `files` are those that the guard has cleared; `seed` makes content
    ids that are always the same for the same letter. `masks` are those that the words wear already.
    """
    if len(words) > MAX_WORDS:
        return "too_long"
    page = sanitise_reply(html)
    root = parse(page) if page is not None else None
    if root is None:
        return "too_large"
    spelled = _Spelled.of(words)
    if not spelled.letters:
        return "no_letters"
    _mask(root, masks)
    pictures = _by_content_id(files)
    found = _kept_lines(root, spelled, words, pictures)
    if found is None:
        return "words_differ"
    try:
        return _carried(root, without(root, found), spelled, _Writer(frozenset(links), pictures, seed))
    except _NotCarried as why:
        return str(why)


def _carried(whole: Node, kept: Node, spelled: _Spelled, writer: _Writer) -> Carried:
    page = writer.page(kept)
    _compare(page, spelled)
    _search(page)
    shown = {leaf.attributes.get("src", "") for leaf in kept.leaves()}
    elsewhere = {leaf.attributes.get("src", "") for leaf in whole.leaves()} - shown
    return Carried(
        html=page,
        plain=to_text(writer.page(with_plain_tables(kept), is_for_text=True)).strip(),
        pictures=tuple(writer.used),
        left_out=frozenset(_content_id(src) for src in elsewhere if src),
    )


def _mask(root: Node, masks: Masks) -> None:
    """Put the desk's address and number where his own stand: within each piece of text, and behind mail links.

    What a page cuts into pieces stays as it was: then it is not the cleared words, and does not leave.
    """
    for leaf in root.leaves():
        if not leaf.tag:
            leaf.text, _ = masks.put_on(leaf.text)
    for node in root.nodes():
        href, count = masks.put_on(node.attributes.get("href", ""))
        if count:
            node.attributes["href"] = href if href.lower().startswith("mailto:") else ""


def _compare(page: str, spelled: _Spelled) -> None:
    """What a reader of the finished page sees are the cleared words, and no other."""
    bare = re.sub(r' href="[^"]*"', "", page).replace("<ol", "<ul").replace("</ol", "</ul")
    text = re.sub(r' alt="[^"]*"', "", bare)
    if len(spelled.letters) not in spelled.after(letters(to_text(text)), spelled.start):
        raise _NotCarried("words_differ")


def _search(page: str) -> None:
    # The words and each link were searched before; this looks into what is between them.
    for text in (page, unquote(page)):
        if find_canaries(text) or find_tokens(text) or MARK in text:
            raise _NotCarried("internal")


# ---- which lines are his


#: What a client adds when it makes text of a page: an address behind its link, a picture's name, the mark of an item.
_ADDED = re.compile(
    r"<(?:https?|mailto|tel|ftp|cid|file):[^<>]{1,2000}>|\[[^\[\]]{1,300}\]|&nbsp;"
    r"|^[ \t>]*(?:\(?[0-9]{1,3}[.)、．](?=\s)|\(?[a-zA-Z][.)](?=\s)|[ivx]{1,5}[.)](?=\s)|[a-zA-Z](?=[ \t\u00a0]{2,}))",
    re.MULTILINE,
)


@dataclass(frozen=True)
class _Spelled:
    """The cleared words, letter by letter, and which stretches the page need not show."""

    letters: str
    skips: Mapping[int, int]  # where such a stretch begins -> just after it
    begins: Sequence[int]  # the former, in order

    @classmethod
    def of(cls, words: str) -> _Spelled:
        pieces: list[str] = []
        skips: dict[int, int] = {}
        count = position = 0
        for found in _ADDED.finditer(words):
            before, added = letters(words[position : found.start()]), letters(found[0])
            position = found.end()
            pieces += (before, added)
            count += len(before)
            if added:
                skips[count] = count + len(added)
            count += len(added)
        pieces.append(letters(words[position:]))
        return cls("".join(pieces), skips, tuple(skips))

    @property
    def start(self) -> frozenset[int]:
        return self._with_skips({0})

    def after(self, line: str, positions: frozenset[int]) -> frozenset[int]:
        """Where the words may go on once this line was read; empty if it is not the next of them."""
        if len(positions) == 1:
            (only,) = positions
            end = only + len(line)
            if bisect_left(self.begins, only) == bisect_left(self.begins, end):  # nothing to leave out on the way
                return self._with_skips({end}) if self.letters.startswith(line, only) else frozenset()
        for character in line:
            positions = self._with_skips(
                {p + 1 for p in positions if p < len(self.letters) and self.letters[p] == character}
            )
            if not positions:
                break
        return positions

    def _with_skips(self, positions: set[int]) -> frozenset[int]:
        waiting = [p for p in positions if p in self.skips]
        while waiting:
            end = self.skips[waiting.pop()]
            if end not in positions:
                positions.add(end)
                if len(positions) > MAX_POSITIONS:
                    return frozenset()
                if end in self.skips:
                    waiting.append(end)
        return frozenset(positions)


def _kept_lines(root: Node, spelled: _Spelled, words: str, pictures: Mapping[str, File]) -> frozenset[int] | None:
    """The lines of the page that are the words, with what stands between and beside; None if they are not there."""
    page = lines(root)
    written = [number for number, line in enumerate(page) if line]
    chosen = _in_one_piece(page, written, spelled) or _in_pieces(page, written, spelled)
    if chosen is None:
        return None
    kept = set(chosen)
    for before, after in itertools.pairwise(written):
        if before in kept and after in kept:
            kept.update(range(before + 1, after))
    silent = _silent(root, words, pictures)
    first, last = chosen[0], chosen[-1]
    above = max((n for n in written if n < first), default=-1)
    below = min((n for n in written if n > last), default=len(page))
    kept.update(range(min((n for n in silent if above < n < first), default=first), first))
    kept.update(range(last + 1, max((n for n in silent if last < n < below), default=last) + 1))
    return frozenset(kept)


def _silent(root: Node, words: str, pictures: Mapping[str, File]) -> set[int]:
    """Lines without letters that are his all the same: a picture, a smile with which the words begin or end."""
    said = [n for n, character in enumerate(words) if character.isalnum()]
    ends = (words[: said[0]], words[said[-1] + 1 :])
    return {
        leaf.line
        for leaf in root.leaves()
        if _content_id(leaf.attributes.get("src", "")) in pictures
        or ((mark := leaf.text.strip()) and any(mark in end for end in ends))
    }


def _in_one_piece(page: list[str], written: list[int], spelled: _Spelled) -> list[int] | None:
    tried = 0
    for begin, number in enumerate(written):
        positions = spelled.after(page[number], spelled.start)
        if not positions:
            continue
        chosen = [number]
        for following in written[begin + 1 :]:
            if len(spelled.letters) in positions:
                return chosen
            positions = spelled.after(page[following], positions)
            if not positions:
                break
            chosen.append(following)
        if len(spelled.letters) in positions:
            return chosen
        tried += 1
        if tried >= MAX_BEGINNINGS:
            break
    return None


def _in_pieces(page: list[str], written: list[int], spelled: _Spelled) -> list[int] | None:
    """Where he answered between the quotes, or a line of his signature was masked: line by line, in order."""
    positions, chosen = spelled.start, []
    for number in written:
        if len(spelled.letters) in positions:
            break
        if further := spelled.after(page[number], positions):
            positions = further
            chosen.append(number)
    return chosen if len(spelled.letters) in positions else None


# ---- writing it


def _content_id(src: str) -> str:
    return unquote(src[4:]) if src[:4].lower() == "cid:" else ""  # RFC 2392 §2


def _by_content_id(files: Sequence[File]) -> dict[str, File]:
    return {f.content_id: f for f in files if f.content_id and f.media_type.lower() in PICTURES}


class _Writer:
    """The page from its tree. Every attribute is named here: nothing passes because nobody thought of it."""

    def __init__(self, links: frozenset[str], pictures: Mapping[str, File], seed: str) -> None:
        self._links = links
        self._pictures = pictures
        self._seed = seed
        self.used: list[File] = []
        self._new_ids: dict[str, str] = {}

    def page(self, root: Node, *, is_for_text: bool = False) -> str:
        self._is_for_text = is_for_text
        return "".join(self._inside(root)).strip()

    def _inside(self, node: Node) -> Iterable[str]:
        for one in node.inside:
            if isinstance(one, Leaf):
                yield self._leaf(one)
            else:
                yield from self._element(one)

    def _leaf(self, leaf: Leaf) -> str:
        if not leaf.tag:
            return escape(leaf.text, quote=False).replace("\u00a0", "&nbsp;")
        if leaf.tag == "img":
            return self._picture(leaf)
        return f"<{leaf.tag}>"

    def _element(self, node: Node) -> Iterable[str]:
        style = node.attributes.get("style", "")
        if node.tag == "a":
            yield from self._link(node)
            return
        kept = {name: value for name, value in node.attributes.items() if name in _PASSED}
        declarations = [d for d in style.split(";") if d and d != BULLET]
        if node.attributes.get("class") == TIGHT:
            declarations.insert(0, "margin:0")
        if node.tag == "pre":
            declarations.append("white-space:pre-wrap")
        if declarations:
            kept["style"] = ";".join(declarations)
        yield f"<{node.tag}{''.join(f' {name}={_quoted(value)}' for name, value in kept.items())}>"
        yield from self._inside(node)
        yield f"</{node.tag}>"

    def _link(self, node: Node) -> Iterable[str]:
        href = node.attributes.get("href", "").strip()
        if not href.lower().startswith(_SCHEMES):  # to a place within the page, or to a file of his
            yield from self._inside(node)
            return
        if href not in self._links:
            raise _NotCarried("link")
        yield f'<a href="{escape(href)}">'
        yield from self._inside(node)
        yield "</a>"

    def _picture(self, leaf: Leaf) -> str:
        file = self._pictures.get(_content_id(leaf.attributes.get("src", "")))
        if file is None:
            return ""
        if self._is_for_text:
            return f'<img alt="{escape(file.name)}">'
        if file.content_id not in self._new_ids:
            digest = hashlib.sha256(f"{self._seed}\0{len(self.used)}".encode()).hexdigest()[:24]
            self._new_ids[file.content_id] = f"{digest}@picture"
            self.used.append(replace(file, content_id=f"{digest}@picture", is_inline=True))
        width = leaf.attributes.get("width", "")
        wide = f' width="{width}"' if width.isdigit() and 0 < int(width) <= 900 else ""
        return f'<img src="cid:{self._new_ids[file.content_id]}" alt=""{wide} style="max-width:100%;height:auto">'


_PASSED = frozenset(
    ["align", "dir", "color", "border", "cellpadding", "cellspacing", "colspan", "rowspan", "valign", "start", "type"]
)


def _quoted(value: str) -> str:
    return f'"{escape(value)}"'
