"""Signatures: what an agent's program puts below his words. The customer gets the firm's instead.

Cut is only what is known to be one: what stands below `-- ` (RFC 3676 §4.3, also where a program dropped the blank), if
it is as short as a signature and quotes nobody; what the configuration says he signs with; the one line that telephones
add; and what his program's HTML marks as the signature, wherever its lines stand. In doubt it stays, and neither of
the last two ever takes the only words of a reply: some people type into that very block.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from html import unescape

from routing.folding import fold, squeeze

MAX_LINES = 12  # below `-- `, blank ones not counted: more than that are words
MAX_CHARACTERS = 800
MAX_PAGE = 512 * 1024  # characters of HTML that are looked at
MAX_BLOCKS = 20  # of one page, the first
MAX_BLOCK = 6000  # letters of one, with the disclaimer in it; longer ones are words
MAX_ROUNDS = 4  # a telephone's line above a signature above another
MAX_DEVICE_LINE = 100  # characters


def without_signature(
    lines: Sequence[str], known: Sequence[str] = (), blocks: Sequence[str] = ()
) -> tuple[list[str], int]:
    """The lines without the signature, and how many (blank ones not counted) were cut.

    `known` are the lines he signs with, `blocks` what `marked_blocks` found in the HTML of the same mail.
    """
    kept = list(lines)
    for _ in range(MAX_ROUNDS):
        before = len(kept)
        for block in blocks:
            kept = _without_block(kept, block)
        kept = kept[: _below_mark(kept)]
        kept = kept[: _as_configured(kept, known)]
        kept = kept[: _of_telephone(kept)]
        if len(kept) == before:
            break
    return kept, _said(lines) - _said(kept)


def is_only_block(lines: Sequence[str], blocks: Sequence[str]) -> bool:
    """Whether the lines are one of the marked blocks and nothing else."""
    return letters("\n".join(lines)) in blocks


def _said(lines: Sequence[str]) -> int:
    return sum(1 for line in lines if line.strip())


def is_quoted(line: str) -> bool:
    return line.lstrip().startswith((">", "＞"))


def _below_mark(lines: Sequence[str]) -> int:
    """Where the last `-- ` stands; the end if what is below is none."""
    mark = next((i for i in range(len(lines) - 1, -1, -1) if lines[i].rstrip() == "--"), len(lines))
    below = [line for line in lines[mark + 1 :] if line.strip()]
    is_one = len(below) <= MAX_LINES and sum(map(len, below)) <= MAX_CHARACTERS
    return mark if is_one and not any(map(is_quoted, below)) else len(lines)


def _as_configured(lines: Sequence[str], known: Sequence[str]) -> int:
    """Where the lines begin that he is known to sign with; the end if the words do not end in them."""
    wanted = [squeezed for line in known if (squeezed := squeeze(line))]
    index = len(lines)
    while wanted and index:
        index -= 1
        found = squeeze(lines[index])
        if found and found != wanted.pop():
            return len(lines)
    return index if not wanted else len(lines)


# ---- the line of a telephone

_DEVICE = (
    r"(?:i ?phone|i ?pad|i ?os|android|galaxy|samsung|huawei|honor|xiaomi|redmi|oppo|vivo|realme|pixel|blackberry|htc"
    r"|sony|nokia|lenovo|windows|outlook|yahoo|icloud|proton ?mail|spark|foxmail|qq|126|163|mail ?master|gmail|mobile"
    r"|smartphone|三星|小米|红米|紅米|华为|華為|荣耀|榮耀|魅族|一加|网易|網易|安卓|手机|手機|平板|智慧型)"
)
_TELEPHONE = re.compile(
    r"(?:(?:sent|gesendet) (?:from|via|with|by|using|von|mit) (?:my |the |a |an |mail for |meinem )?(?:[\w,-]+ ){0,2}"
    rf"{_DEVICE}\b[\w ,.&'-]{{0,40}}"
    r"|get (?:the )?outlook for (?:i ?os|android|mac|windows)[\w ]{0,10}"
    rf"|(?:[從从由]|自)\s?(?:我的\s?)?.{{0,12}}{_DEVICE}.{{0,24}}(?:[发發][送出]|[传傳]送|寄出|寄[发發])"
    rf"|(?:[发發寄傳传來来]自|[发發傳传]送自)\s?(?:于|於)?\s?(?:我的\s?)?[a-z ]{{0,12}}{_DEVICE}[^，,。]{{0,24}}"
    r"|(?:取得|[获獲]取|下[载載]|下載)\s?(?:[适適]用[于於]\s?)?.{0,20}outlook.{0,30}"
    r"|[签簽]名由.{1,20}定制)[。.]?",
)
_LINK = re.compile(r"[<(\[]?\s?(?:https?|mailto):[^\s<>()\[\]]{1,500}\s?[>)\]]?")
_BRACKETS = " \t\u00a0\u3000()<>[]（）【】*_|·-—–"


def _of_telephone(lines: Sequence[str]) -> int:
    """Where "Sent from my iPhone" stands as the last line; the end if it does not, or nothing stands above it."""
    end = len(lines)
    while end and not lines[end - 1].strip(_BRACKETS):
        end -= 1
    if not end or not is_telephones(lines[end - 1]):
        return len(lines)
    return end - 1 if any(_is_word(line) for line in lines[: end - 1]) else len(lines)


def is_telephones(line: str) -> bool:
    """Whether a line is what a telephone or its mail program adds, and no sentence of a person's."""
    if len(line) > 600:
        return False
    bare = _LINK.sub("", fold(line)).strip(_BRACKETS)
    return len(bare) <= MAX_DEVICE_LINE and _TELEPHONE.fullmatch(bare) is not None


def _is_word(line: str) -> bool:
    return not is_quoted(line) and any(map(str.isalnum, line))


# ---- what a program marks as the signature

#: How programs name the element round it: in `class`, `id`, `name`, `data-smartmail`; with "x_" before it in a page
#: that Outlook has taken over.
_NAMES = frozenset(
    {
        *("gmail_signature", "gmail_signature_prefix"),  # Gmail
        *("signature", "_mailautosig", "mac_outlook_signature"),  # Outlook on the web, for Windows, for Mac
        *("ms-outlook-mobile-signature", "ms-outlook-ios-signature", "ms-outlook-android-signature"),
        *("applemailsignature", "moz-signature"),
        *("imail_signature", "ntes-signature", "ntes-mailmaster-signature", "mailmastersignature"),  # NetEase
        *("qqmail_sign", "wemailsigcontent", "xm_write_sign", "foxmail_signature", "foxsign"),  # Tencent
        *("_foxfromname", "fmsigseperator"),  # Foxmail: it, and the rule above it
        "linebreakatbeginningofsignature",  # Apple's telephones: the line above it
        *("composer_signature", "ymail_android_signature", "protonmail_signature_block"),  # Samsung, Yahoo, Proton
    }
)
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]{0,15})\b([^<>]{0,3000})>")
_NAMED = re.compile(r"""\b(?:class|id|name|data-smartmail)\s{0,3}=\s{0,3}(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""", re.I)
_VOID = frozenset({"hr", "br", "img", "meta", "input", "link"})
_IN_WORD = re.compile(r"mso-bookmark\s?:\s?[\"']?_MailAutoSig\b", re.IGNORECASE)
_SILENT = re.compile(r"<(!--|style\b|script\b|title\b|head\b)", re.IGNORECASE)
_MARKUP = re.compile(r"<[^<>]{0,5000}>")
#: What a program adds when it makes text of a page: addresses behind links, names of pictures.
_ADDED = re.compile(r"<(?:https?|mailto|tel|cid|file):[^<>]{1,2000}>|\[[^\[\]]{1,300}\]", re.IGNORECASE)


def letters(text: str) -> str:
    """What a program's page and its plain text have in common: letters and digits."""
    return "".join(filter(str.isalnum, fold(_ADDED.sub("", text))))


def marked_blocks(html: str) -> tuple[str, ...]:
    """The letters of each block that the agent's program marks as his signature, longest first. Linear."""
    found = {said for block in _blocks(html[:MAX_PAGE]) if 0 < len(said := _letters_of(block)) <= MAX_BLOCK}
    return tuple(sorted(found, key=len, reverse=True))


def _letters_of(page: str) -> str:
    return letters(unescape(_MARKUP.sub("", "".join(_shown(page)))))


def _shown(page: str) -> Iterator[str]:
    """The page without comments, style sheets and the like: nobody reads those."""
    lower, position = page.lower(), 0
    for found in _SILENT.finditer(page):
        if found.start() < position:
            continue
        yield page[position : found.start()]
        name = found[1].lower()
        end = lower.find("-->" if name == "!--" else f"</{name}", found.end())
        position = end + 3 if end >= 0 and name == "!--" else end if end >= 0 else len(page)
    yield page[position:]


def _blocks(html: str) -> Iterator[str]:
    tags = list(_TAG.finditer(html))
    count = 0
    for number, tag in enumerate(tags):
        if tag[1] or not _is_named(tag):
            continue
        count += 1
        if count > MAX_BLOCKS:
            return
        if tag[2].lower() == "a":
            yield html[tag.start() : _end_in_word(html, tag.end())]
        elif tag[2].lower() not in _VOID:
            yield html[tag.start() : _end(tags, number, len(html))]
        elif (below := _next_opened(tags, number)) is not None:
            yield html[tags[below].start() : _end(tags, below, len(html))]


def _is_named(tag: re.Match[str]) -> bool:
    if tag[2].lower() == "sign":  # QQ
        return True
    for value in _NAMED.finditer(tag[3]):
        names = (value[1] or value[2] or value[3] or "").lower().split()
        if any(name.removeprefix("x_") in _NAMES for name in names):
            return True
    return False


def _next_opened(tags: Sequence[re.Match[str]], number: int) -> int | None:
    """The element that follows at once, beside a tag that is none."""
    below = number + 1
    is_one = below < len(tags) and not tags[below][1] and tags[below][2].lower() not in _VOID
    return below if is_one else None


def _end(tags: Sequence[re.Match[str]], number: int, otherwise: int) -> int:
    """Just after the end tag of an element."""
    name, depth = tags[number][2].lower(), 0
    for tag in tags[number:]:
        if tag[2].lower() == name:
            depth += -1 if tag[1] else 1
            if not depth:
                return tag.end()
    return otherwise


def _end_in_word(html: str, position: int) -> int:
    """Outlook for Windows names the first line of the signature, and marks each further piece of it in its style."""
    last = position
    for found in _IN_WORD.finditer(html, position):
        last = found.end()
    end = html.find("</p>", last)
    return end if end >= 0 else len(html)


def _without_block(lines: list[str], block: str) -> list[str]:
    """The lines without the last ones that are this block, whole; as they were if it is nowhere, or would be all."""
    said = ["" if is_quoted(line) else letters(line) for line in lines]
    starts: dict[int, int] = {}  # offset in the letters -> the first line there
    ends: dict[int, int] = {}  # offset -> just after the last line that ends there
    offset = 0
    for number, one in enumerate(said):
        if one:
            starts[offset] = number
            offset += len(one)
            ends[offset] = number + 1
    whole = "".join(said)
    at = whole.rfind(block)
    for _ in range(MAX_ROUNDS):
        if at < 0:
            return lines
        first, last = starts.get(at), ends.get(at + len(block))
        if first is not None and last is not None:
            if len(block) == len(whole) or any(map(is_quoted, lines[first:last])):
                return lines
            return [*lines[:first], *lines[last:]]
        at = whole.rfind(block, 0, at + len(block) - 1)
    return lines
