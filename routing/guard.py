"""The guard: what of an agent's reply may leave to the customer.

First everything that is ours is taken away: all from our mark down, the headings with which mail clients introduce what
they quote, and, where they mark each quoted line, whatever our mail said beside the customer's words. Then the agent's
own signature goes (`signatures`, `habits`), and his address and number are masked (`masking`). What is left is
searched, and the search fails closed (PROMISES.md, G15): a canary, a token, a line of the card, a heading of an
internal mail, the agent's private address or number, a quote that is not the customer's own words, and the reply is
held, whatever else it says. What leaves are the agent's words exactly.

The search sees through line wrapping, quote marks, soft hyphens and invisible characters, not through pictures and
packed files: mail inside attachments is therefore not sent at all, nor a file with our mark in it. Of the reply's HTML
it says which links hold nothing internal, also percent-encoded; its words are compared with the cleared ones where it
is written (`intake/compose_reply.py`). Time is linear in the reply; longer than MAX_TEXT is held.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from html import unescape
from urllib.parse import unquote

from channels.message import Attachment, Message
from routing.folding import fold, squeeze
from routing.habits import Tail, is_signing, signature_start, tail_of
from routing.masking import Masks, masks_of
from routing.reasons import Reason, because
from routing.signatures import is_only_block, is_quoted, marked_blocks, without_signature
from routing.tokens import find_canaries, find_wrapped_tokens

MAX_TEXT = 200_000  # characters of a reply
MAX_HEADING = 500  # characters of a line that may be a heading
MIN_WITHIN = 8  # squeezed characters: a shorter internal line counts only where it is a whole line
MIN_DIGITS = 8  # of a private number; fewer would be found in every amount
MAX_SECRETS = 20  # marks and tokens in one reply; one mail of ours has two
MIN_HALF = 8  # characters of a mark or a token that are known again
MAX_SHOWN = 80  # characters of what survived, for showing it to the agent
MAX_LINKS = 100  # of the reply's HTML, the first; a reply with others in it goes as plain text
MAX_LINK = 2000  # characters

#: The line above everything internal in our mails to agents; it is recognised by its words and its rule.
MARK = "──────── 以下僅供內部 · internal ────────"
_RULES = re.compile("[─━—–-]+")
#: The line above the customer's words.
_CAPTION = re.compile(r"[\s>]*──\s{0,3}(?:客戶原文|客户原文|Customer.s words)\b")
_MARK = _RULES.sub("", squeeze(MARK))


@dataclass(frozen=True, kw_only=True, slots=True)
class GuardFacts:
    """What the guard must know: above all, what the agent was sent."""

    internal_lines: tuple[str, ...] = ()  # labelled lines of card, history, notes; not texts offered for copying
    shown_lines: tuple[str, ...] = ()  # what else he was shown: no secret, but no words of his either
    customer_words: tuple[str, ...] = ()  # lines of the customer's own messages in this ticket
    key_ids: frozenset[int] = frozenset()  # Key.id of the ring: spread tokens count only with one of them
    tokens: frozenset[str] = frozenset()  # issued for this ticket
    canaries: frozenset[str] = frozenset()  # of this ticket
    token_addresses: frozenset[str] = frozenset()  # reply addresses given to agents
    internal_message_ids: frozenset[str] = frozenset()  # of mails between desk and agents, with or without brackets
    private_addresses: frozenset[str] = frozenset()  # the agent's mailboxes
    private_numbers: frozenset[str] = frozenset()  # his telephones, as he writes them or E.164
    desk_address: str = ""  # what customers see instead of his address; "": the reply is held
    hotline: str = ""  # what they see instead of his number; "": the desk's address
    names: tuple[str, ...] = ()  # how he is called, by which his signature is known
    signature: tuple[str, ...] = ()  # lines that his program puts below his words, as configured
    tails: tuple[Tail, ...] = ()  # how his last replies ended
    tail_key: bytes = b""  # with which those were hashed
    known_attachments: frozenset[str] = frozenset()  # sha256 of files that our mail to him held
    marked_attachments: frozenset[str] = frozenset()  # paths of his files in which our mark or a token was found


@dataclass(frozen=True, kw_only=True, slots=True)
class Inspection:
    """`text` and `attachments` may leave only if `is_clean`; else they are what would have left."""

    text: str
    attachments: tuple[Attachment, ...]
    survived: tuple[str, ...]  # what was found, cut to MAX_SHOWN characters; not empty: held
    is_clean: bool
    reasons: tuple[Reason, ...] = ()
    links: tuple[str, ...] = ()  # addresses in the reply's HTML that hold nothing internal, as they read unescaped
    tail: Tail = ()  # how this reply ended, before its signature was found by habit
    masked: int = 0  # addresses and numbers of his own that were replaced


def inspect(reply: Message, facts: GuardFacts) -> Inspection:
    """What of an agent's reply would leave, and whether it may."""
    written = reply.text.replace("\r\n", "\n")
    if len(written) > MAX_TEXT:
        why = because("survived", what=f"more than {MAX_TEXT} characters")
        return Inspection(text="", attachments=(), survived=("too_long",), is_clean=False, reasons=(why,))
    known, masks = _Known.of(facts), _masks(facts)
    lines, lost = _own_lines(written.split("\n"), known)
    lines, signed, tail = _unsigned(lines, reply, facts, masks)
    lines, masked = _mask_signature(lines, facts, masks)
    text, replaced = masks.put_on(_trimmed(lines))
    attachments, file_reasons, unsafe = _sift(reply.attachments, facts)

    reasons = list(file_reasons)
    survived = list(unsafe)
    if signed:
        reasons.append(because("signature_cut", lines=signed))
    if masked:
        reasons.append(because("masked", lines=masked))
    if replaced:
        reasons.append(because("masked_contacts", count=replaced))
    if lost:
        survived.append("words_below")
        reasons.append(because("words_below", lines=lost))
    found = (*_survivors(text, facts, known), *_halves(text, written, facts))
    for code, what in found:
        survived.append(what[:MAX_SHOWN])
        reasons.append(because("foreign_quote") if code == "foreign_quote" else because("survived", what=code))
    is_empty = not squeeze(text) and not attachments
    if is_empty:
        reasons.append(because("empty_reply"))
    return Inspection(
        text=text,
        attachments=attachments,
        survived=tuple(dict.fromkeys(survived)),
        is_clean=not survived and not is_empty,
        reasons=tuple(dict.fromkeys(reasons)),
        links=_clean_links(reply.html, facts, known, masks),
        tail=tail,
        masked=replaced,
    )


def is_only_signature(words: str, reply: Message, facts: GuardFacts) -> bool:
    """Whether the words below an agent's commands are what his program adds by itself, and nothing that he says."""
    lines, _ = _own_lines(words.replace("\r\n", "\n")[:MAX_TEXT].split("\n"), _Known.of(facts))
    kept, _, _ = _unsigned(lines, reply, facts, _masks(facts), is_below_commands=True)
    said = [line for line in kept if squeeze(line)]
    return not said or (len(said) == 1 and squeeze(said[0]) in {squeeze(name) for name in facts.names})


def _masks(facts: GuardFacts) -> Masks:
    return masks_of(sorted(facts.private_addresses), sorted(facts.private_numbers), facts.desk_address, facts.hotline)


def _unsigned(
    lines: list[str], reply: Message, facts: GuardFacts, masks: Masks, *, is_below_commands: bool = False
) -> tuple[list[str], int, Tail]:
    """The lines without the agent's signature, how many those were, and how the reply ends for the next time."""

    def signs(line: str) -> bool:
        return masks.shows(line) or any(pattern.search(fold(line)) for pattern in names)

    names = [_as_name(name) for name in (*facts.names, reply.sender.display_name) if len(squeeze(name)) >= 2]
    blocks = marked_blocks(reply.html)
    kept, signed = without_signature(lines, facts.signature, blocks)
    if is_only_block(kept, blocks) and (is_below_commands or any(is_signing(line, signs) for line in kept[:4])):
        return [], _said(lines), ()  # he wrote nothing: only his program did
    tail = tail_of(kept, facts.tail_key)
    start = signature_start(kept, facts.tails, facts.tail_key, signs, may_be_all=is_below_commands)
    return kept[:start], signed + _said(kept[start:]), tail


def _said(lines: Iterable[str]) -> int:
    return sum(1 for line in lines if line.strip())


def _as_name(name: str) -> re.Pattern[str]:
    folded = re.escape(fold(name.strip())[:100])
    return re.compile(rf"\b{folded}\b" if folded.isascii() else folded)


@dataclass(frozen=True)
class _Known:
    """What the agent was sent, squeezed for comparing."""

    lines: frozenset[str]  # of ours and of the customer's
    internal: frozenset[str]  # those that must not leave
    everything: str  # all that he was sent, end to end
    customer: str  # the customer's, end to end

    @classmethod
    def of(cls, facts: GuardFacts) -> _Known:
        customer = squeeze("\n".join(facts.customer_words)[:MAX_TEXT])
        # A line of the card that the customer wrote himself tells him nothing; a rule of dashes tells nobody.
        lines = [squeeze(line) for line in facts.internal_lines]
        internal = frozenset(line for line in lines if _says_something(line) and line not in customer)
        shown = [squeeze(line) for line in facts.shown_lines]
        every_line = frozenset((*lines, *shown, *map(squeeze, facts.customer_words)))
        return cls(every_line, internal, "".join((*lines, "\n", *shown, "\n", customer)), customer)

    def holds(self, line: str) -> bool:
        """Whether the line stood in what the agent was sent, wrapped as it may be."""
        squeezed = squeeze(line)
        # "好" stands in "您好", and is an answer all the same: short lines must be whole ones of ours.
        is_ours = squeezed in self.lines or (len(squeezed) >= MIN_WITHIN and squeezed in self.everything)
        return is_ours or bool(find_canaries(line))


def _says_something(squeezed: str) -> bool:
    return sum(map(str.isalnum, squeezed)) >= 2


# --- taking away what is ours ---------------------------------------------------------------------------------------


def _own_lines(lines: list[str], known: _Known) -> tuple[list[str], int]:
    """(the agent's lines, how many lines of his would be lost, or may be ours)."""
    mark = next((i for i, line in enumerate(lines) if _is_mark(line)), len(lines))
    above, below = lines[:mark], lines[mark:]
    beneath, lost = _beneath(below, known)
    kept = _without_headings(above, known, beneath)
    kept, doubtful = _without_ours(kept, known, is_ours=_quotes_us(lines), is_all=not beneath)
    return [*kept, *beneath], lost + doubtful


def _without_headings(above: list[str], known: _Known, beneath: list[str]) -> list[str]:
    """What stands above our mark, without headings of quotes, and without the quote below which he wrote nothing."""
    last_own = len(above) if beneath else _last_own_line(above, known)
    kept: list[str] = []
    position = 0
    for start, end in _headings(above):
        if start < position:
            continue
        if end > last_own:
            # Nothing of his stands below this heading: what follows is what his client quoted.
            return _without_rule([*kept, *above[position:start]])
        if _introduces_quote(above, end):
            kept.extend(above[position:start])
            position = end
        # Any other heading stays, and is found by the search: below it may stand anybody's mail.
    return [*kept, *above[position:]]


def _is_mark(line: str) -> bool:
    # A customer's imitation reaches the agent with plain hyphens: only the drawn rule is ours.
    return "──" in line and _MARK in _RULES.sub("", squeeze(line[:MAX_HEADING]))


def _quotes_us(lines: list[str]) -> bool:
    """Whether the lines that are marked as quoted are those of a mail of ours."""
    quoted = [line for line in lines if is_quoted(line)]
    return any(map(_is_mark, quoted)) or bool(find_canaries("\n".join(quoted)))


def _without_ours(lines: list[str], known: _Known, *, is_ours: bool, is_all: bool) -> tuple[list[str], int]:
    """The lines without quoted ones of ours that are not the customer's; and how many stand where these may go on.

    Where a program folds a quoted line without marking its second half, that half follows at once: nobody can tell it
    from an answer. The customer's words lose nothing by that. `is_all`: nothing of his stands below these lines, so
    that a quote of our mail at their end answers nothing.
    """
    kept: list[str] = []
    doubtful = 0
    is_below_ours = False
    for line in lines:
        if is_quoted(line):
            squeezed = squeeze(line)
            is_blank = not _says_something(squeezed)
            is_below_ours = is_ours and not is_blank and squeezed not in known.customer
            if not is_below_ours and not (is_ours and is_blank and _ends_blank(kept)):
                kept.append(line)
            continue
        doubtful += is_below_ours and bool(line.strip())
        is_below_ours = False
        kept.append(line)
    while is_ours and kept and (_ends_blank(kept) or (is_all and is_quoted(kept[-1]))):
        kept.pop()
    return kept, doubtful


def _ends_blank(lines: list[str]) -> bool:
    """Whether nothing stands there, or nothing in the last line."""
    return not lines or not lines[-1].strip("> ＞\t")


_DRAWN = re.compile(r"\s*[_=─*—-]{5,}\s*$")


def _without_rule(lines: list[str]) -> list[str]:
    """The lines without the rule that Outlook draws above its heading."""
    end = len(lines)
    while end and not lines[end - 1].strip():
        end -= 1
    return lines[: end - 1] if end and _DRAWN.match(lines[end - 1]) else lines


def _introduces_quote(lines: list[str], end: int) -> bool:
    """Whether `>` lines follow at once, so that nothing but the heading itself is not marked as quoted."""
    following = next((line for line in lines[end:] if line.strip()), "")
    return is_quoted(following)


def _last_own_line(lines: list[str], known: _Known) -> int:
    """Index of the last line that the agent wrote himself, -1 if none: neither quoted nor sent to him."""
    for index in range(len(lines) - 1, -1, -1):
        line = lines[index]
        if line.strip() and not is_quoted(line) and not _HEADER.match(line) and not known.holds(line):
            return index
    return -1


def _beneath(below: list[str], known: _Known) -> tuple[list[str], int]:
    """(what the agent wrote below all that was quoted, how many lines he wrote between the quoted ones below our mark).

    Told only where his client marks quotes: without `>` nobody can tell his words from re-wrapped ones of ours.
    """
    if sum(map(is_quoted, below)) < 2:
        return [], 0
    last = max(number for number, line in enumerate(below) if is_quoted(line))
    between = [line for line in below[1:last] if _is_his(line, known)]
    beneath = below[last + 1 :]
    if not any(map(str.strip, beneath)):
        return [], len(between)
    signature = next((i for i, line in enumerate(beneath) if line.rstrip() == "--"), len(beneath))
    # What follows a quoted line at once may be its second half, what we sent him is not his.
    is_apart = signature == 0 or not beneath[0].strip()
    ours = [line for line in beneath[:signature] if _says_something(squeeze(line)) and known.holds(line)]
    if not is_apart or ours:
        return [], len(between) + sum(1 for line in beneath[:signature] if _is_his(line, known))
    return beneath, len(between)


def _is_his(line: str, known: _Known) -> bool:
    return _says_something(line) and not is_quoted(line) and not known.holds(line)


_HEADER = re.compile(
    r"[\s>*]*(?:from|sent|date|to|cc|subject|reply-to|importance|寄件者|寄件人|發件人|发件人|發送者|发送者"
    r"|傳送時間|傳送日期|寄件日期|發送時間|发送时间|发送日期|日期|時間|时间|收件者|收件人|副本|抄送|抄送人"
    r"|主旨|主題|主题|回覆至|回复至)[ \t*　]{0,4}[:：]",
    re.IGNORECASE,
)
_FROM = re.compile(r"[\s>*]*(?:from|寄件者|寄件人|發件人|发件人|發送者|发送者)[ \t*　]{0,4}[:：]", re.IGNORECASE)
_ORIGINAL = re.compile(
    r"[\s>]*[-_=─*—]{2,40}\s*(?:original (?:message|appointment)|forwarded message|原始(?:郵件|邮件|訊息|信件|消息)"
    r"|(?:轉寄|轉發|转发)(?:的)?(?:郵件|邮件|信件)|(?:回复的|回覆的)?原(?:邮件|郵件)(?:信息)?)\s*[-_=─*—]{0,40}\s*$",
    re.IGNORECASE,
)
_WROTE = re.compile(r"(?:wrote|writes|寫道|写道|寫到|写到|schrieb|a écrit|escribió)\s{0,4}[:：]\s*$", re.IGNORECASE)
_WHEN_OR_WHO = re.compile(r"@|\d{1,4}\s?[-/.年:月]\s?\d{1,2}|\b[a-z]{3,9}\.?,? \d{1,4}", re.IGNORECASE)
_ON = re.compile(r"[\s>]*(?:on|at|am|le|el)\b|.{0,120}(?:於|于|在)\s*\d", re.IGNORECASE)


def _headings(lines: list[str]) -> list[tuple[int, int]]:
    """(first, after the last) line of every heading that introduces a quote, in order."""
    found: list[tuple[int, int]] = []
    index = 0
    while index < len(lines):
        line = lines[index]
        if len(line) <= MAX_HEADING:
            if _ORIGINAL.match(line):
                end = _end_of_headers(lines, index + 1)
                found.append((index, end))
                index = end
                continue
            if _FROM.match(line) and (end := _end_of_headers(lines, index)) - index >= 2:
                found.append((index, end))
                index = end
                continue
            if _WROTE.search(line) and (start := _start_of_attribution(lines, index)) >= 0:
                found.append((start, index + 1))
        index += 1
    return found


def _end_of_headers(lines: list[str], start: int) -> int:
    end = start
    while end < len(lines) and _HEADER.match(lines[end]):
        end += 1
    return end


def _start_of_attribution(lines: list[str], end: int) -> int:
    """Where "On … wrote:" begins, wrapped over three lines at most; -1 where it is the agent's own sentence."""
    for start in range(end, max(end - 3, -1), -1):
        if not lines[start].strip() or len(lines[start]) > MAX_HEADING:
            break
        if _ON.match(lines[start]) and _WHEN_OR_WHO.search(" ".join(lines[start : end + 1])):
            return _with_address(lines, start, end)
    return _with_address(lines, end, end) if "@" in lines[end] else -1


_DESK_NAME = re.compile(r"#\d{1,19}\b")


def _with_address(lines: list[str], start: int, end: int) -> int:
    """The attribution's first line, where the address in angle brackets stands before the date, and was folded."""
    joined = " ".join(lines[start : end + 1])
    while (
        start and end - start < 4 and joined.count("<") <= joined.count(">") and not ("<" in joined and "@" in joined)
    ):
        above = lines[start - 1].strip("> \t")
        if not above.endswith(">") and above.count("<") <= above.count(">"):
            break
        start -= 1
        joined = f"{above} {joined}"
    is_folded = (
        lines[start].strip("> \t").startswith("<") and start and _DESK_NAME.search(lines[start - 1][:MAX_HEADING])
    )
    return start - 1 if is_folded else start


def _mask_signature(lines: list[str], facts: GuardFacts, masks: Masks) -> tuple[list[str], int]:
    """The lines without those below `-- ` that show the agent's address or number unmasked, and how many those were."""
    signature = next((i for i in range(len(lines) - 1, -1, -1) if lines[i].rstrip() == "--"), len(lines))
    kept = [line for line in lines[signature:] if not _private(masks.put_on(line)[0], facts)]
    return [*lines[:signature], *kept], len(lines) - signature - len(kept)


def _trimmed(lines: list[str]) -> str:
    """The lines as text, without a signature mark that nothing follows and without blank lines at the ends."""
    text = "\n".join(lines).strip("\n\r\t \u3000\u00a0")
    return "" if text == "--" else text.removesuffix("\n--").rstrip() if text.endswith("\n--") else text


# --- searching what is left -----------------------------------------------------------------------------------------


def _survivors(text: str, facts: GuardFacts, known: _Known) -> list[tuple[str, str]]:
    """(code, what) of everything in the text that must not leave."""
    squeezed = squeeze(text)
    found = [("canary", canary) for canary in find_canaries(text)]
    found.extend(("token", token) for token in find_wrapped_tokens(text, facts.key_ids))
    found.extend(("token", token) for token in facts.tokens if token.lower() in squeezed.replace("-", ""))
    found.extend(("token_address", one) for one in facts.token_addresses if squeeze(one) in squeezed)
    ids = (one.strip("<> ") for one in facts.internal_message_ids)
    found.extend(("internal_message_id", one) for one in ids if one and squeeze(one) in squeezed)
    all_letters = _letters(squeezed)
    whole_lines = {_letters(squeeze(line)) for line in text.split("\n")}
    found.extend(("internal_line", line) for line in sorted(known.internal) if _shows(line, all_letters, whole_lines))
    found.extend(("private", what) for what in _private(text, facts))
    found.extend(("foreign_quote", line) for line in _foreign_quotes(text, known))
    found.extend(("header_block", line) for line in _header_blocks(text.split("\n")))
    found.extend(("internal_line", line) for line in text.split("\n") if _CAPTION.match(line[:MAX_HEADING]))
    return found


def _halves(text: str, written: str, facts: GuardFacts) -> list[tuple[str, str]]:
    """Pieces of marks and tokens: cut through where something was taken away, or before it came to us."""
    secrets = {*find_canaries(written), *find_wrapped_tokens(written, facts.key_ids)}
    if len(secrets) > MAX_SECRETS:
        return [("token", f"more than {MAX_SECRETS}")]
    secrets |= {*sorted(facts.tokens)[:MAX_SECRETS], *facts.canaries}
    squeezed = squeeze(text).replace("-", "")
    bodies = [secret.lower().replace("-", "")[4:] for secret in sorted(secrets)]
    pieces = (body[at : at + MIN_HALF] for body in bodies for at in range(0, len(body) - MIN_HALF + 1, 2))
    return [("token", piece) for piece in pieces if piece in squeezed][:1]


def _shows(line: str, all_letters: str, whole_lines: set[str]) -> bool:
    """Whether an internal line stands in the text: anywhere if it is long enough to mean it, else as a whole line."""
    letters = _letters(line)
    return letters in whole_lines or (len(letters) >= MIN_WITHIN and letters in all_letters)


def _letters(squeezed: str) -> str:
    """Letters and digits alone: a colon more or a masked digit less does not make it another line."""
    return "".join(filter(str.isalnum, squeezed))


_DIGITS = re.compile(rf"\d{{{MIN_DIGITS},20}}")
_BETWEEN_DIGITS = re.compile(r"(?<=\d)[ \t().·-]+(?=\d)")


def _private(text: str, facts: GuardFacts) -> list[str]:
    """The agent's private addresses and numbers that the text shows."""
    squeezed = squeeze(text)
    found = [address for address in facts.private_addresses if address and squeeze(address) in squeezed]
    runs = _DIGITS.findall(_BETWEEN_DIGITS.sub("", fold(text)))
    if runs:
        found.extend(number for number in facts.private_numbers if any(_is_number(number, run) for run in runs))
    return found


def _is_number(number: str, run: str) -> bool:
    """Whether digits are this number: with or without country code, trunk zero, or both as in +886 (0)912…."""
    digits = "".join(filter(str.isdigit, number))
    if len(digits) < MIN_DIGITS:
        return False
    return digits.lstrip("0").endswith(run.lstrip("0")) or (len(digits) > 8 and run.endswith(digits[-9:]))


def _foreign_quotes(text: str, known: _Known) -> list[str]:
    """Quoted lines that the customer did not write."""
    quoted = [line for line in text.split("\n") if is_quoted(line)]
    return [line for line in quoted if _says_something(squeeze(line)) and squeeze(line) not in known.customer]


def _header_blocks(lines: list[str]) -> list[str]:
    """What is left of headings: two header lines one below the other, a rule "original message", "… wrote:"."""
    found = [lines[start] for start, _ in _headings(lines)]
    before = False
    for line in lines:
        is_header = _HEADER.match(line[:MAX_HEADING]) is not None
        if is_header and before:
            found.append(line)
        before = is_header
    return found


_HREF = re.compile(r"""\bhref\s{0,4}=\s{0,4}(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""", re.IGNORECASE)
_OPEN_TO_ALL = ("http://", "https://", "mailto:", "tel:")


def _clean_links(html: str, facts: GuardFacts, known: _Known, masks: Masks) -> tuple[str, ...]:
    """The links, masked, in which nothing is found that must not leave, whichever way it is written there."""
    found: dict[str, None] = {}
    for match in _HREF.finditer(html):
        link = unescape(match[1] or match[2] or match[3] or "").strip()
        if len(link) <= MAX_LINK and link.lower().startswith(_OPEN_TO_ALL):
            found[masks.put_on(link)[0]] = None
        if len(found) >= MAX_LINKS:
            break
    return tuple(link for link in found if not any(_survivors(way, facts, known) for way in _ways_to_read(link)))


def _ways_to_read(link: str) -> set[str]:
    """As it stands, and freed of percent signs as often as anybody would write them; `+` may be a space."""
    once = unquote(link)
    twice = unquote(once)
    return {link, once, twice, twice.replace("+", " ")}


# --- files ----------------------------------------------------------------------------------------------------------

_HOLDS_MAIL = ("message/", "application/ms-tnef", "application/vnd.ms-outlook")  # may contain the internal mail
_MAIL_NAMES = (".eml", ".msg", ".mht", ".mhtml", "winmail.dat")
#: What his client adds, with the agent's private address in it.
_ABOUT_SENDER = ("text/vcard", "text/x-vcard", "application/pkcs7-signature", "application/x-pkcs7-signature")


def _sift(
    attachments: Iterable[Attachment], facts: GuardFacts
) -> tuple[tuple[Attachment, ...], tuple[Reason, ...], tuple[str, ...]]:
    """(what may be sent, why the rest is not, what the reply is held for)."""
    kept: list[Attachment] = []
    reasons: list[Reason] = []
    unsafe: list[str] = []
    for one in attachments:
        media_type = one.media_type.lower()
        holds_mail = media_type.startswith(_HOLDS_MAIL) or one.name.lower().endswith(_MAIL_NAMES)
        if holds_mail or one.path in facts.marked_attachments:
            unsafe.append(one.name or media_type)
            reasons.append(because("attachment_unsafe", name=one.name or media_type))
        elif media_type in _ABOUT_SENDER or media_type == "application/pgp-signature":
            reasons.append(because("attachment_dropped", name=one.name or media_type, why="signature"))
        elif one.sha256 in facts.known_attachments:
            reasons.append(because("attachment_dropped", name=one.name, why="quoted"))
        else:
            kept.append(one)
    return tuple(kept), tuple(reasons), tuple(unsafe)
