"""The look of a mail to an agent: tables, inline styles, one accent, light and dark; nothing is fetched.

Blocks are strings of table rows; `page` puts them into a column of at most 640 pixels. The only colour is the
deadline's. Classes exist for dark mode alone: a client without style sheets shows the light page whole.
"""

from __future__ import annotations

from collections.abc import Iterable

from intake.compose_words import clean_line, escape
from intake.dates import EN, HANS, HANT

_HANT_FONTS = "'PingFang TC','Microsoft JhengHei','Noto Sans CJK TC','Noto Sans TC',sans-serif"
_FONTS = {
    HANT: f"-apple-system,'Segoe UI',{_HANT_FONTS}",
    HANS: "-apple-system,'Segoe UI','PingFang SC','Microsoft YaHei','Noto Sans CJK SC','Noto Sans SC',sans-serif",
    EN: f"-apple-system,'Segoe UI',Roboto,'Helvetica Neue',{_HANT_FONTS}",
}

TEXT = "color:#1f2328"
QUIET = "color:#59636e"
LINE = "#d1d9e0"
ACCENTS = {"calm": "#2b5c8a", "amber": "#8f5600", "red": "#b3261e"}  # each at least 5:1 on white
_DARK = {"calm": "#8cb9e6", "amber": "#f0b45a", "red": "#ff8f85"}  # each at least 7:1 on #1b1c1e

_STYLE = (
    "body,table,td{-webkit-text-size-adjust:100%;-ms-text-size-adjust:100%}"
    "table{mso-table-lspace:0;mso-table-rspace:0}"
    ".w img{max-width:100%!important;height:auto!important}"
    f".t a,.w a{{color:{ACCENTS['calm']}}}"
    "@media(max-width:480px){.p{padding-left:14px!important;padding-right:14px!important}.l{width:84px!important}}"
    "@media(prefers-color-scheme:dark){"
    ".b{background:#1b1c1e!important}.t{color:#e8eaed!important}.q{color:#a4abb3!important}"
    ".r{border-color:#43474d!important}.s{background:#26282b!important}.t a,.w a{color:#9cc4ec!important}"
    + "".join(
        f".{name}{{color:{colour}!important}}.{name}b{{border-color:{colour}!important}}"
        for name, colour in _DARK.items()
    )
    + "}"
    + "".join(f"[data-ogsc] .{name}{{color:{colour}!important}}" for name, colour in _DARK.items())
    + "[data-ogsc] .t{color:#e8eaed!important}[data-ogsc] .q{color:#a4abb3!important}"
)

_LETTER_STYLE = (
    ":root{color-scheme:light dark}.w img{max-width:100%;height:auto}.w table{border-collapse:collapse}"
    ".w td,.w th{padding:3px 9px}@media(prefers-color-scheme:dark){.q{color:#a4abb3!important}}"
    "[data-ogsc] .q{color:#a4abb3!important}"
)

_TABLE = '<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0"'
_CELL = "font-size:14px;padding:2px 10px 2px 0"
_BREAK = "word-break:break-word"
_WHOLE = "word-break:keep-all;overflow-wrap:anywhere"  # a name or a time is not cut through
_MSO_OPEN = '<!--[if mso]><table role="presentation" width="640" cellpadding="0" cellspacing="0"><tr><td><![endif]-->'
_MSO_CLOSE = "<!--[if mso]></td></tr></table><![endif]-->"


def accent(share: float) -> str:
    """The name of the colour for a deadline of which that share is used: calm, amber from 0.5, red from 0.8."""
    return "calm" if share < 0.5 else "amber" if share < 0.8 else "red"


def letter(language: str, body: str, signature: str) -> str:
    """A person's letter to a customer: `body` and `signature` are HTML; no frame, no ground, light and dark."""
    return (
        f'<!DOCTYPE html>\n<html lang="{language}">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width,initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<meta name="supported-color-schemes" content="light dark">\n'
        f"<style>{_LETTER_STYLE}</style>\n</head>\n<body>\n"
        f'<div class="w" style="font-family:{_FONTS[language]};font-size:15px;line-height:1.6;{_BREAK}">\n'
        f'{body}\n<p class="q" style="{QUIET};margin:1.4em 0 0">{signature}</p>\n</div>\n</body>\n</html>\n'
    )


def page(language: str, title: str, blocks: Iterable[str]) -> str:
    """A whole document. `title` is plain text; the blocks are rows."""
    font = _FONTS[language]
    return (
        f'<!DOCTYPE html>\n<html lang="{language}">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width,initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<meta name="supported-color-schemes" content="light dark">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n"
        f'<body class="b t" style="margin:0;padding:0;{TEXT};font-family:{font};font-size:16px;line-height:1.6">\n'
        f'{_MSO_OPEN}<table role="presentation" class="b" width="100%" cellpadding="0" cellspacing="0" border="0" '
        f'style="max-width:640px;border-collapse:collapse;font-family:{font}">\n'
        + "\n".join(blocks)
        + f"\n</table>{_MSO_CLOSE}\n</body>\n</html>\n"
    )


def head(colour: str, first: str, canary: str, lines: Iterable[str]) -> str:
    """The deadline, with an accent at its side, and quiet lines of HTML under it."""
    return (
        '<tr><td class="p" style="padding:18px 20px 6px">'
        f"{_TABLE}><tr>"
        f'<td class="{colour}b" style="border-left:4px solid {ACCENTS[colour]};padding:1px 0 1px 14px">'
        f'<div class="{colour}" style="font-size:20px;line-height:1.4;font-weight:600;{_WHOLE};'
        f'color:{ACCENTS[colour]}">'
        f"{dotted(first)}</div>"
        + "".join(
            f'<div class="q" style="{QUIET};font-size:14px;padding-top:3px;{_BREAK}">{line}</div>'
            for line in _marked(lines, canary)
        )
        + "</td></tr></table></td></tr>"
    )


def _marked(lines: Iterable[str], canary: str) -> list[str]:
    """The canary behind the last line: the first is what mail clients show in their lists."""
    marked = list(lines) or [""]
    return [*marked[:-1], marked[-1] + canary]


def aside(canary: str, lines: Iterable[str]) -> str:
    """Lines of HTML on a quiet ground, between the head and the words: what is particular about this mail."""
    marked = "".join(f'<div style="padding:2px 0">{line}</div>' for line in _marked(lines, canary))
    return f'<tr><td class="p" style="padding:8px 20px 2px">{boxed(marked)}</td></tr>'


def dotted(text: str) -> str:
    """Plain text as HTML; a line may end with a dot between two things, and never begins with one."""
    return escape(text).replace(" · ", "\u00a0· ")


def words(caption: str, body: str, below: str) -> str:
    """The customer's words in a frame; `body` and `below` are HTML, `caption` plain."""
    files = f'<div class="q" style="{QUIET};font-size:14px;padding-top:12px;{_BREAK}">{below}</div>' if below else ""
    return (
        '<tr><td class="p" style="padding:12px 20px 14px">'
        f'{_TABLE} style="table-layout:fixed"><tr>'
        f'<td class="r" style="border:1px solid {LINE};border-radius:8px;padding:12px 16px 14px">'
        f'<div class="q" style="{QUIET};font-size:13px;padding-bottom:6px;{_BREAK}">{dotted(caption)}</div>'
        f'<div class="t w" style="{TEXT};font-size:16px;line-height:1.7;{_BREAK};overflow-x:auto">{body}</div>'
        f"{files}</td></tr></table></td></tr>"
    )


def rule(mark: str) -> str:
    """The line below which everything is internal."""
    return (
        f'<tr><td class="p q" align="center" style="padding:6px 20px 4px;{QUIET};font-size:12px;white-space:nowrap;'
        f'overflow:hidden">{escape(mark)}</td></tr>'
    )


def block(caption: str, canary: str, body: str) -> str:
    """One internal block: a small caption with the canary beside it, and HTML under it."""
    return (
        '<tr><td class="p" style="padding:10px 20px 8px">'
        f'<div class="q" style="{QUIET};font-size:13px;font-weight:600;padding-bottom:3px">'
        f"{escape(caption)}{canary}</div>"
        f'<div class="t" style="{TEXT};font-size:14px;line-height:1.6;{_BREAK}">{body}</div></td></tr>'
    )


def pairs(rows: Iterable[tuple[str, str]]) -> str:
    """Labels and values, both plain, in two columns."""
    return (
        f"{_TABLE}>"
        + "".join(
            f'<tr><td class="q l" width="112" valign="top" style="width:112px;{_CELL};{QUIET}">{escape(label)}</td>'
            f'<td class="t" valign="top" style="{_CELL};{TEXT};{_BREAK}">{escape(value)}</td></tr>'
            for label, value in rows
        )
        + "</table>"
    )


def boxed(body: str) -> str:
    """HTML on a quiet ground: a suggestion, something that was to be sent."""
    return (
        f'{_TABLE} style="table-layout:fixed"><tr>'
        f'<td class="s t" style="background:#f4f6f8;border-radius:6px;padding:10px 14px;{TEXT};font-size:14px;'
        f'line-height:1.7;{_BREAK}">{body}</td></tr></table>'
    )


def table(titles: Iterable[str], rows: Iterable[Iterable[str]], lead: int = 0) -> str:
    """A small table; titles are plain, cells are HTML. `lead`: pixels of the first column, so that tables one below
    the other stand in line; 0 as it comes.
    """
    wide = f' width="{lead}"' if lead else ""
    heads = "".join(
        f'<th class="q r" align="left"{wide if number == 0 else ""} style="{QUIET};font-size:13px;font-weight:600;'
        f'padding:4px 10px 4px 0;border-bottom:1px solid {LINE};word-break:keep-all">{escape(title)}</th>'
        for number, title in enumerate(titles)
    )
    body = "".join(
        "<tr>"
        + "".join(
            f'<td class="t r" valign="top" style="{TEXT};font-size:14px;padding:6px 10px 6px 0;'
            f'border-bottom:1px solid {LINE}">{cell}</td>'
            for cell in row
        )
        + "</tr>"
        for row in rows
    )
    return f'{_TABLE} style="border-collapse:collapse"><tr>{heads}</tr>{body}</table>'


def small(text: str) -> str:
    """A last line, plain text."""
    return (
        f'<tr><td class="p" style="padding:10px 20px 20px"><div class="q r" style="{QUIET};font-size:13px;'
        f'border-top:1px solid {LINE};padding-top:10px">{escape(text)}</div></td></tr>'
    )


def canary(value: str) -> str:
    """The canary, quiet but there to be read."""
    if not value:
        return ""
    return f' <span class="q" style="{QUIET};font-size:11px;font-weight:400;white-space:nowrap">{escape(value)}</span>'


def coloured(text: str, colour: str) -> str:
    """Plain text in the deadline's colour."""
    return f'<span class="{colour}" style="color:{ACCENTS[colour]};font-weight:600">{escape(text)}</span>'


def action(typed: str, does: str, mailto: str) -> str:
    """A command as it is typed, all plain, and what it does; a link where one may follow it."""
    word = f"<b>{escape(clean_line(typed, 40))}</b>"
    if mailto.startswith(("mailto:", "tel:")):
        word = f'<a href="{escape(clean_line(mailto, 500))}">{word}</a>'
    return f"{word} {escape(clean_line(does, 120))}"
