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
from routing.own_lines import MARK as MARK  # the line above everything internal in our mails to agents
from routing.own_lines import MIN_WITHIN, Known, own_lines, says_something
from routing.quote_headings import HEADER, MAX_HEADING, headings
from routing.reasons import Reason, because
from routing.signatures import is_only_block, is_quoted, marked_blocks, without_signature
from routing.tokens import find_canaries, find_wrapped_tokens

MAX_TEXT = 200_000  # characters of a reply
MIN_DIGITS = 8  # of a private number; fewer would be found in every amount
MAX_SECRETS = 20  # marks and tokens in one reply; one mail of ours has two
MIN_HALF = 8  # characters of a mark or a token that are known again
MAX_SHOWN = 80  # characters of what survived, for showing it to the agent
MAX_LINKS = 100  # of the reply's HTML, the first; a reply with others in it goes as plain text
MAX_LINK = 2000  # characters

#: The line above the customer's words.
_CAPTION = re.compile(r"[\s>]*──\s{0,3}(?:客戶原文|客户原文|Customer.s words)\b")


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


def _with_line_ends(text: str) -> str:
    """Whatever some program shows as the end of a line, as one: what a reader takes for a line is looked at as one."""
    return _LINE_END.sub("\n", text)


#: Unicode's line ends (UAX #14 classes BK, CR, LF, NL), and the separators that Python takes for such.
_LINE_END = re.compile("\r\n|[\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029]")


def inspect(reply: Message, facts: GuardFacts) -> Inspection:
    """What of an agent's reply would leave, and whether it may."""
    written = _with_line_ends(reply.text)
    if len(written) > MAX_TEXT:
        why = because("survived", what=f"more than {MAX_TEXT} characters")
        return Inspection(text="", attachments=(), survived=("too_long",), is_clean=False, reasons=(why,))
    known, masks = _known(facts), _masks(facts)
    lines, lost = own_lines(written.split("\n"), known)
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
    is_empty = not _says_anything(text) and not attachments
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


def _says_anything(text: str) -> bool:
    """Whether a line of his own stands in it: the customer's words alone, quoted back to him, are no answer."""
    return any(squeeze(line) and not is_quoted(line) for line in text.split("\n"))


def is_only_signature(words: str, reply: Message, facts: GuardFacts) -> bool:
    """Whether the words below an agent's commands are what his program adds by itself, and nothing that he says."""
    lines, _ = own_lines(_with_line_ends(words)[:MAX_TEXT].split("\n"), _known(facts))
    kept, _, _ = _unsigned(lines, reply, facts, _masks(facts), is_below_commands=True)
    said = [line for line in kept if squeeze(line)]
    return not said or (len(said) == 1 and squeeze(said[0]) in {squeeze(name) for name in facts.names})


def without_signature_below(words: str, reply: Message, facts: GuardFacts) -> str:
    """The words below an agent's commands as he means them: what his program adds by itself is cut off."""
    lines = _with_line_ends(words)[:MAX_TEXT].split("\n")
    kept, _, _ = _unsigned(lines, reply, facts, _masks(facts))
    return _trimmed(kept)


def _known(facts: GuardFacts) -> Known:
    return Known.of(facts.internal_lines, facts.shown_lines, facts.customer_words)


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


def _survivors(text: str, facts: GuardFacts, known: Known) -> list[tuple[str, str]]:
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


def _foreign_quotes(text: str, known: Known) -> list[str]:
    """Quoted lines that the customer did not write."""
    quoted = [line for line in text.split("\n") if is_quoted(line)]
    return [line for line in quoted if says_something(squeeze(line)) and squeeze(line) not in known.customer]


def _header_blocks(lines: list[str]) -> list[str]:
    """What is left of headings: two header lines one below the other, a rule "original message", "… wrote:"."""
    found = [lines[start] for start, _ in headings(lines)]
    before = False
    for line in lines:
        is_header = HEADER.match(line[:MAX_HEADING]) is not None
        if is_header and before:
            found.append(line)
        before = is_header
    return found


_HREF = re.compile(r"""\bhref\s{0,4}=\s{0,4}(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""", re.IGNORECASE)
_OPEN_TO_ALL = ("http://", "https://", "mailto:", "tel:")


def _clean_links(html: str, facts: GuardFacts, known: Known, masks: Masks) -> tuple[str, ...]:
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
_MAIL_NAMES = (".eml", ".msg", ".mht", ".mhtml", ".emlx", ".oft", ".mbox", ".pst", "winmail.dat")
#: What his client adds, with the agent's private address in it.
_ABOUT_SENDER = (
    "text/vcard",
    "text/x-vcard",
    "text/directory",
    "application/pkcs7-signature",
    "application/x-pkcs7-signature",
    "application/pgp-signature",
)
_CARD_NAMES = (".vcf", ".p7s")  # by whatever type his client calls them


def _sift(
    attachments: Iterable[Attachment], facts: GuardFacts
) -> tuple[tuple[Attachment, ...], tuple[Reason, ...], tuple[str, ...]]:
    """(what may be sent, why the rest is not, what the reply is held for)."""
    kept: list[Attachment] = []
    reasons: list[Reason] = []
    unsafe: list[str] = []
    for one in attachments:
        media_type = one.media_type.lower()
        holds_mail = media_type.startswith(_HOLDS_MAIL) or one.name.strip(" .").lower().endswith(_MAIL_NAMES)
        if holds_mail or one.path in facts.marked_attachments:
            unsafe.append(one.name or media_type)
            reasons.append(because("attachment_unsafe", name=one.name or media_type))
        elif media_type in _ABOUT_SENDER or one.name.strip(" .").lower().endswith(_CARD_NAMES):
            reasons.append(because("attachment_dropped", name=one.name or media_type, why="signature"))
        elif one.sha256 in facts.known_attachments:
            reasons.append(because("attachment_dropped", name=one.name, why="quoted"))
        else:
            kept.append(one)
    return tuple(kept), tuple(reasons), tuple(unsafe)
