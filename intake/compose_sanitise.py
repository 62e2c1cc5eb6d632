"""Other people's HTML without anything active, remote or unreadable.

HTML that is too large or too deep to be sanitised in bounded time is not used at all: the text is shown instead.
Colours stay only where they can be read on white and on black; sizes, grounds and positions go. Of an agent's answer
nothing stays in which words could hide: an attribute is a number, a word of a list, a link or a picture.
"""

from __future__ import annotations

import re
from collections import Counter

import nh3

from intake.compose_words import TEXT_TABLE

MAX_HTML_IN = 256 * 1024  # characters; sanitising that much of the worst kind costs under half a second
MAX_HTML_DEPTH = 200  # open tags; real newsletters stay under a hundred

_TAGS = {
    *("a", "abbr", "b", "big", "blockquote", "br", "center", "code", "dd", "del", "div", "dl", "dt", "em", "font"),
    *("h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "img", "ins", "li", "ol", "p", "pre", "q", "s", "small", "span"),
    *("strike", "strong", "sub", "sup", "tt", "u", "ul"),
    *("table", "caption", "col", "colgroup", "tbody", "td", "tfoot", "th", "thead", "tr"),
}
_ATTRIBUTES = {
    "*": {"style", "align", "dir"},
    "a": {"href", "title"},
    "img": {"src", "alt", "width", "height"},
    "font": {"color"},
    "table": {"border", "cellpadding", "cellspacing"},
    "td": {"colspan", "rowspan", "valign", "nowrap"},
    "th": {"colspan", "rowspan", "valign", "nowrap"},
    "ol": {"start", "type"},
}
_STYLES = {
    *("font-weight", "font-style", "text-decoration", "text-align", "vertical-align", "white-space", "color"),
    *("border", "border-top", "border-right", "border-bottom", "border-left", "border-collapse"),
    *("padding", "padding-top", "padding-right", "padding-bottom", "padding-left"),
}
_STYLE_VALUE = re.compile(r"[\w\s.%#,()-]{1,60}\Z", re.ASCII)
_TAG_START = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9]{0,15})")
#: Void elements, and those that a parser closes by itself where the next one begins.
_NOT_NESTING = {
    *("area", "br", "col", "hr", "img", "input", "link", "meta", "wbr"),
    *("dd", "dt", "li", "option", "p", "td", "th", "tr"),
}
_COLOURS = {"red": "#ff0000", "green": "#008000", "orange": "#ffa500", "fuchsia": "#ff00ff", "magenta": "#ff00ff"}
_HEX = re.compile(r"#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})\Z")
_SHORT_HEX = re.compile(r"#([0-9a-f])([0-9a-f])([0-9a-f])\Z")
_RGB = re.compile(r"rgb\((\d{1,3}),(\d{1,3}),(\d{1,3})\)\Z")


def sanitise(html: str, content_ids: frozenset[str]) -> tuple[str, frozenset[str]] | None:
    """A customer's HTML without anything active or remote, and the content ids of the pictures it still shows.

    Pictures stay only where they are among `content_ids`. None if it is too large or too deep to be touched.
    """
    if len(html) > MAX_HTML_IN or _is_too_deep(html):
        return None
    used: set[str] = set()

    def keep(tag: str, name: str, value: str) -> str | None:
        if name == "style":
            return _kept_style(value)
        if name == "color":
            return value if _is_readable_colour(value) else None
        if tag == "img" and name == "src":
            content_id = value[4:] if value[:4].lower() == "cid:" else ""
            if content_id not in content_ids:
                return None
            used.add(content_id)
        if tag == "img" and name == "width":
            return value if value.isdigit() and int(value) <= 600 else None
        return value

    cleaned = nh3.clean(
        html.encode("utf-8", "replace").decode().translate(TEXT_TABLE),
        tags=_TAGS,
        clean_content_tags={"script", "style", "title", "head", "noscript", "template", "svg", "math", "select"},
        attributes=_ATTRIBUTES,
        attribute_filter=keep,
        url_schemes={"http", "https", "mailto", "tel", "cid"},
    )
    return _PICTURE.sub(_shown_picture, cleaned), frozenset(used)


_IN_REPLY = _ATTRIBUTES | {
    "*": {"style", "align", "dir", "class"},
    "a": {"href"},
    "img": {"src", "width", "height"},
    "font": {"color"},
}
_FREE = {"href", "src", "style", "class"}  # looked at one by one; every other value is one of these:
_PLAIN_VALUE = re.compile(
    r"[0-9]{1,3}%?|left|right|center|justify|top|middle|bottom|baseline|nowrap|ltr|rtl|auto|[aAiI1]|", re.ASCII
)
_REPLY_STYLES = _STYLES | {"margin", "margin-top", "margin-right", "margin-bottom", "margin-left"}
_MEASURE = re.compile(r"[0-9]{0,3}(?:\.[0-9]{1,4})?(?:px|pt|em|cm|mm|in|%)?|#[0-9a-f]{3,6}|rgb\([0-9, ]{5,15}\)")
_WORDS = """
bold bolder lighter normal italic oblique underline line-through none left right center justify start end top middle
bottom baseline sub super text-top text-bottom nowrap pre pre-wrap pre-line solid dashed dotted double groove ridge
collapse separate thin medium thick windowtext currentcolor black gray grey silver red green blue orange auto
"""
_KEYWORDS = frozenset(_WORDS.split())
#: Outlook's paragraphs stand without room between them; it says so in a style sheet that does not travel.
TIGHT = "m"
#: Outlook writes bullets as letters of these fonts.
BULLET = "b"
_BULLET_FONT = re.compile(r"font-family\s*:\s*[\"']?(?:wingdings|symbol)\b", re.IGNORECASE)


def sanitise_reply(html: str) -> str | None:
    """An agent's HTML: what stays of `class` is TIGHT or BULLET, pictures are `cid:` only, links still to be judged.

    None if it is too large or too deep to be touched.
    """
    if len(html) > MAX_HTML_IN or _is_too_deep(html):
        return None
    return nh3.clean(
        html.encode("utf-8", "replace").decode().translate(_SEEN),
        tags=_TAGS,
        clean_content_tags={"script", "style", "title", "head", "noscript", "template", "svg", "math", "select"},
        attributes=_IN_REPLY,
        attribute_filter=_of_reply,
        url_schemes={"http", "https", "mailto", "tel", "cid"},
        link_rel=None,
    )


#: Nobody sees these, and something could be written with them: tags of emoji (U+E0000 ff.), selectors of
#: variants of ideographs. The joiners stay: some scripts and most families of emoji need them.
_SEEN = TEXT_TABLE | dict.fromkeys(
    (
        0xAD,
        0x34F,
        0x180E,
        0x200B,
        0x2060,
        *range(0x2061, 0x2065),
        0xFEFF,
        *range(0xFFF9, 0xFFFC),
        *range(0xE0000, 0xE0200),
    )
)


def _of_reply(tag: str, name: str, value: str) -> str | None:
    if name == "style":
        kept = _reply_style(value)
        return kept or None
    if name == "class":
        return TIGHT if tag in ("p", "li", "div") and value.startswith("Mso") else None
    if name == "color":
        return value if _is_readable_colour(value) else None
    if name == "src":
        return value if tag == "img" and value[:4].lower() == "cid:" else None
    if name in _FREE or _PLAIN_VALUE.fullmatch(value):
        return value
    return None


def _reply_style(style: str) -> str:
    kept = [BULLET] if _BULLET_FONT.search(style[:2000]) else []
    for declaration in style[:2000].split(";"):
        name, _, value = declaration.partition(":")
        name, value = name.strip().lower(), value.strip().lower()
        if name not in _REPLY_STYLES or len(value) > 60:
            continue
        words = value.replace(", ", ",").split()
        if not words or not all(word in _KEYWORDS or _MEASURE.fullmatch(word) for word in words):
            continue
        if name == "color" and not _is_readable_colour(value):
            continue
        kept.append(f"{name}:{value}")
    return ";".join(kept)


# Of the sanitiser's own output: every value in quotes, every quote inside one escaped.
_PICTURE = re.compile(r'<img(?: [a-z]+="[^"]*")*>')


def _shown_picture(match: re.Match[str]) -> str:
    """Nothing for a picture that lost its address: an empty frame would only puzzle."""
    return match.group() if ' src="' in match.group() else ""


def _is_too_deep(html: str) -> bool:
    """True if more than MAX_HTML_DEPTH tags are open at one time; closing what was never opened counts for nothing."""
    open_by_name: Counter[str] = Counter()
    depth = 0
    for match in _TAG_START.finditer(html):
        name = match.group(2).lower()
        if name in _NOT_NESTING:
            continue
        if not match.group(1):
            open_by_name[name] += 1
            depth += 1
            if depth > MAX_HTML_DEPTH:
                return True
        elif open_by_name[name]:
            open_by_name[name] -= 1
            depth -= 1
    return False


def _kept_style(style: str) -> str | None:
    kept = []
    for declaration in style[:2000].split(";"):
        name, _, value = declaration.partition(":")
        name, value = name.strip().lower(), value.strip()
        if name not in _STYLES or not _STYLE_VALUE.match(value) or "url" in value.lower():
            continue
        if name == "color" and not _is_readable_colour(value):
            continue
        kept.append(f"{name}:{value}")
    return ";".join(kept) or None


def _is_readable_colour(value: str) -> bool:
    """True for a colour that can be read on white and on near black: red figures stay red, white on white does not."""
    value = _COLOURS.get(value.strip().lower(), value.strip().lower()).replace(" ", "")
    if match := _HEX.match(value):
        channels = [int(part, 16) for part in match.groups()]
    elif match := _SHORT_HEX.match(value):
        channels = [int(part * 2, 16) for part in match.groups()]
    elif match := _RGB.match(value):
        channels = [min(255, int(part)) for part in match.groups()]
    else:
        return False
    red, green, blue = (_linear(channel / 255) for channel in channels)
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue  # WCAG 2.1, relative luminance
    return 0.11 <= luminance <= 0.3  # contrast of at least 3:1 on both


def _linear(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else float(((channel + 0.055) / 1.055) ** 2.4)
