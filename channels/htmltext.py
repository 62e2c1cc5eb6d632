"""HTML to text that a person can read: paragraphs, lists, tables, links, quotes as `> ` lines.

One pass over the octets with `str.find`, no recursion, linear whatever the input: the standard library's parser
is quadratic on crafted markup. Nothing is fetched. Scripts and style sheets are left out, and so is a short element
that is not displayed (the preview line of newsletters); a long one is kept, since it may be the letter itself. What
is said here is never shown as HTML.
"""

from __future__ import annotations

import re
from html import unescape

MAX_INPUT = 2 * 1024 * 1024  # characters looked at
MAX_OUTPUT = 1024 * 1024  # characters
MAX_QUOTE_DEPTH = 20
MAX_HIDDEN = 8 * 1024  # characters of an element that is left out because it is not displayed
MAX_HIDDEN_ELEMENTS = 200
MAX_LINK = 500  # characters; a longer address is not repeated in the text

_TAG_NAME = re.compile(r"/?[a-zA-Z][a-zA-Z0-9:-]*")
_TAG_STOP = re.compile(r"[<>\"']")
_ATTRIBUTE = re.compile(r"""\b(href|alt|style)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""", re.I)
_BLANKS = re.compile(r"[ \t\r\n\f\u00a0]+")
_NOT_DISPLAYED = re.compile(r"display\s?:\s?none|mso-hide\s?:\s?all|visibility\s?:\s?hidden", re.I)
_VOID_TAGS = "area base br col embed hr img input link meta param source track wbr"
_VOID = frozenset(_VOID_TAGS.split())
#: What newsletters pad their preview line with.
_PADDING = re.compile("(?:[\u00ad\u034f\u200b-\u200d\u2060\ufeff][ \u00a0]?){4,}")
_UNSEEN = frozenset({"script", "style", "title", "template", "object", "svg", "math", "xml"})
_PARAGRAPHS = frozenset({"p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "dl", "table", "pre", "blockquote"})
_LINE_TAGS = """
div li tr dt dd address article aside body center fieldset figure footer form header html main nav
section caption thead tbody tfoot option legend
"""
_LINES = frozenset(_LINE_TAGS.split())
_RULE = "_" * 32  # as Outlook writes it in its own plain text


def to_text(html: str) -> str:
    """The words of an HTML mail."""
    page = _Page()
    html = html[:MAX_INPUT]
    position, end = 0, len(html)
    closed_until: dict[str, int] = {}  # what no longer comes after here is not searched for again
    hidden = 0
    while position < end and not page.is_full:
        start = html.find("<", position)
        if start < 0:
            start = end
        if start > position:
            page.text(html[position:start])
        if start >= end:
            break
        if html.startswith("<!--", start):
            position = _after(html, "-->", start + 4, closed_until, start + 4)
        elif html.startswith(("<!", "<?"), start):
            position = _after(html, ">", start + 2, closed_until, end)
        elif name := _TAG_NAME.match(html, start + 1):
            position = _tag_end(html, name.end(), closed_until)
            tag = name[0].lower()
            if tag in _UNSEEN and html[position - 2 : position] != "/>":
                position = _after_element(html, tag, position, closed_until)
                continue
            rest = html[name.end() : min(position, name.end() + 8192)]
            if len(rest) > 12 and hidden < MAX_HIDDEN_ELEMENTS and _is_not_displayed(rest):
                hidden += 1
                if (behind := _behind_hidden(html, tag, position)) > 0:
                    position = behind
                    continue
            page.tag(tag, rest)
        else:
            page.text("<")
            position = start + 1
    return page.done()


def _after(html: str, mark: str, position: int, known: dict[str, int], otherwise: int) -> int:
    """Just after the next `mark`; `otherwise` if there is none. Each mark is missed only once."""
    if position >= known.get(mark, len(html) + 1):
        return otherwise
    found = html.find(mark, position)
    if found < 0:
        known[mark] = position
        return otherwise
    return found + len(mark)


def _after_element(html: str, tag: str, position: int, known: dict[str, int]) -> int:
    """Just after the end tag of a script and the like; where its contents begin if it is never closed."""
    mark = f"</{tag}"
    if position >= known.get(mark, len(html) + 1):
        return position
    found = re.compile(mark, re.I).search(html, position)
    if found is None:
        known[mark] = position
        return position
    return _tag_end(html, found.end(), known)


def _is_not_displayed(rest: str) -> bool:
    return _NOT_DISPLAYED.search(rest) is not None and bool(_NOT_DISPLAYED.search(_attributes(rest).get("style", "")))


def _behind_hidden(html: str, tag: str, position: int) -> int:
    """Just after the end tag of an element that began before `position`; 0 if it is long, or never ends."""
    if tag in _VOID:
        return position
    depth = 1
    for mark in re.compile(rf"<(/?){re.escape(tag)}\b[^<>]*>", re.I).finditer(html, position, position + MAX_HIDDEN):
        depth += -1 if mark[1] else 1
        if not depth:
            return mark.end()
    return 0


def _tag_end(html: str, position: int, known: dict[str, int]) -> int:
    """The end of a tag: `>` outside quotes, or before the next `<`."""
    while stop := _TAG_STOP.search(html, position):
        mark = stop[0]
        if mark == ">":
            return stop.end()
        if mark == "<":
            return stop.start()
        # A quote opens a value only after "=": an apostrophe elsewhere is a slip of the pen.
        before = html[max(0, stop.start() - 3) : stop.start()].rstrip()
        position = _after(html, mark, stop.end(), known, stop.end()) if before.endswith("=") else stop.end()
    return len(html)


class _Page:
    """The text while it grows: lines, each with the depth of quoting it stands at."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.line: list[str] = []  # pieces of the line being written
        self.breaks = 0  # line ends owed before the next words: 1 a line, 2 a paragraph
        self.depth = 0  # of quoting
        self.quotes: list[bool] = []  # whether each open blockquote is one, or only an indent
        self.pre = 0
        self.lists: list[int] = []  # -1 for bullets, else the last number
        self.links: list[tuple[str, int, int]] = []  # address, line number, piece number where it began
        self.is_new_cell = False
        self.is_after_mark = False  # of a list item: a paragraph that begins here begins on the same line
        self.size = 0

    @property
    def is_full(self) -> bool:
        return self.size > MAX_OUTPUT

    def text(self, raw: str) -> None:
        words = unescape(raw) if "&" in raw else raw
        if not words.isascii():
            words = _PADDING.sub(" ", words)
        if self.pre:
            first, *more = words.replace("\r\n", "\n").replace("\u00a0", " ").split("\n")
            self._write(first)
            for line in more:
                self._end_line()
                self._write(line)
            return
        words = _BLANKS.sub(" ", words)
        if words == " " and (not self.line or self.breaks):
            return
        self._write(words)

    def _write(self, words: str) -> None:
        if not words:
            return
        if self.breaks and words.strip():
            self._break()
        if self.is_new_cell and words.strip():
            if self.line:
                self.line.append(" | ")
            self.is_new_cell = False
        if not self.line and not self.pre:
            words = words.lstrip(" ")
        if words:
            self.is_after_mark = self.is_after_mark and words == " "
            self.line.append(words)
            self.size += len(words)

    def _break(self) -> None:
        if self.line:
            self._end_line()
        if self.breaks > 1 and self.lines and self.lines[-1].strip("> "):
            self.lines.append(self._prefix().rstrip())
        self.breaks = 0

    def _end_line(self) -> None:
        self.is_after_mark = False
        self.lines.append((self._prefix() + "".join(self.line)).rstrip())
        self.line.clear()
        self.size += 1 + self.depth * 2

    def _prefix(self) -> str:
        return "> " * self.depth

    def _want(self, breaks: int) -> None:
        if not self.is_new_cell and not self.is_after_mark:
            self.breaks = max(self.breaks, breaks)

    def tag(self, tag: str, rest: str) -> None:
        """One opening ("p") or closing ("/p") tag, with whatever stood behind its name."""
        name = tag.removeprefix("/")
        is_open = tag == name
        if name == "br":
            self._line_break()
        elif name == "a":
            self._link(rest if is_open else None)
        elif name in ("td", "th"):
            self._cell(is_open)
        elif name == "blockquote":
            self._quote(rest if is_open else None)
        elif name in _PARAGRAPHS or name in _LINES:
            self._want(
                2 if name in _PARAGRAPHS and not (name in ("ul", "ol") and len(self.lists) > (not is_open)) else 1
            )
            if name == "tr":
                self.is_new_cell = False
            self._structure(name, is_open)
        elif name == "hr":
            self._want(1)
            self._write(_RULE)
            self._want(1)
        elif name == "img" and (alt := _attributes(rest).get("alt", "").strip()):
            self._write(f"[{_BLANKS.sub(' ', alt[:200])}]")

    def _structure(self, name: str, is_open: bool) -> None:
        if name == "pre":
            self.pre = max(0, self.pre + (1 if is_open else -1))
        elif name in ("ul", "ol"):
            if is_open and len(self.lists) < 50:
                self.lists.append(0 if name == "ol" else -1)
            elif not is_open and self.lists:
                self.lists.pop()
        elif name == "li" and is_open:
            mark = "- "
            if self.lists and self.lists[-1] >= 0:
                self.lists[-1] += 1
                mark = f"{self.lists[-1]}. "
            if self.breaks:
                self._break()
            elif self.line:
                self._end_line()
            self.line.append("  " * max(0, len(self.lists) - 1) + mark)
            self.size += len(mark)
            self.is_after_mark = True

    def _line_break(self) -> None:
        if self.breaks:
            self._break()
        self.is_new_cell = False
        self._end_line()

    def _cell(self, is_open: bool) -> None:
        if is_open:
            if self.breaks:
                self._break()
            self.is_new_cell = bool(self.line)
        else:
            self.breaks = 0

    def _quote(self, opening: str | None) -> None:
        if opening is None:
            if self.quotes:
                if self.line:
                    self._end_line()
                self.depth -= self.quotes.pop()
            self._want(2)
            return
        self._want(2)
        if len(self.quotes) < MAX_QUOTE_DEPTH:
            self._break()
            style = _attributes(opening).get("style", "").replace(" ", "").lower()
            is_quote = "border:none" not in style  # Gmail and Apple indent with a blockquote as well
            self.quotes.append(is_quote)
            self.depth += is_quote

    def _link(self, opening: str | None) -> None:
        if opening is not None:
            if self.breaks and self.line:
                self._break()
            href = _attributes(opening).get("href", "").strip()
            if len(self.links) < 10:
                self.links.append((href, len(self.lines), len(self.line)))
            return
        if not self.links:
            return
        href, line, piece = self.links.pop()
        if not href.lower().startswith(("http://", "https://", "ftp://")) or len(href) > MAX_LINK:
            return
        shown = "".join(self.line[piece:]).strip() if line == len(self.lines) else ""
        bare = href.partition("://")[2].rstrip("/")
        if shown.partition("://")[2].rstrip("/") != bare and shown.rstrip("/") != bare:
            self._write(f" <{href}>" if self.line else f"<{href}>")

    def done(self) -> str:
        if self.line:
            self._end_line()
        text = "\n".join(self.lines).strip("\n")
        return re.sub(r"\n{4,}", "\n\n\n", text)[:MAX_OUTPUT]


def _attributes(rest: str) -> dict[str, str]:
    return {m[1].lower(): unescape(m[2] or m[3] or m[4] or "") for m in _ATTRIBUTE.finditer(rest[:8192])}
