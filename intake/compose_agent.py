"""The agent's mail: the deadline, the customer's words, below a rule what is internal.

Pure: from frozen facts to RFC 5322 octets. Raises `HeaderRefused` only where an id or an address that we made is none;
whatever a stranger wrote is cleaned. Costs a fraction of a millisecond; with HTML of a customer up to half a second
(see `compose_sanitise.MAX_HTML_IN`), so compose such mails in a thread.
"""

from __future__ import annotations

import re
from dataclasses import replace

from channels.message import Medium
from intake import compose_html as html
from intake import dates, mailbytes
from intake.compose_facts import MARK, AgentMail, Exchange, MailKind, Person, share_used
from intake.compose_letter import (
    MAX_NAME,
    agent_headers,
    agent_subject,
    indented,
    line_about,
    plain_block,
    plain_pairs,
    sentence_part,
    state_of,
    two_parts,
    with_files,
    without_mark,
)
from intake.compose_sanitise import sanitise
from intake.compose_words import (
    clean_file_name,
    clean_line,
    clean_text,
    cut_text,
    escape,
    text_as_html,
    wrap,
)
from intake.mailbytes import File
from intake.texts_loader import Texts
from routing.words import Kind, Standing

MAX_WORDS = 24 * 1024  # octets of the customer's words shown; the rest is in original.txt
MAX_WORDS_HTML = 48 * 1024  # octets of his sanitised HTML; larger, and his text is shown instead
MAX_EXCHANGE = 900  # octets of each earlier message
MAX_SUGGESTION = 4 * 1024  # octets
MAX_NOTE = 2 * 1024  # octets
MAX_ASKED = 600  # octets of a colleague's question on top
MAX_ROWS = 20  # of the customer card
_PICTURES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp", "image/bmp", "image/tiff"})
_CONTENT_ID = re.compile(r"[!-;=?-~]{1,200}\Z")  # printable ASCII but for angle brackets
SHOWN_PEOPLE = 6  # of those who get nothing
SHOWN_FILES = 12  # names listed; the others are counted


def agent_mail(facts: AgentMail, texts: Texts) -> bytes:
    """The whole mail to the agent, CRLF line ends, ready to be handed over."""
    subject = agent_subject(
        facts.ticket, facts.subject_name or facts.customer_name, facts.customer_subject, texts, facts.language
    )
    seed = facts.message_id
    words, is_cut = cut_text(without_mark(clean_text(facts.words)), MAX_WORDS)
    shown = _customer_html(facts)
    if shown is None:  # no HTML, or none that can be shown: then his text stands in its place
        page_words, is_shortened = _text_html(words)
        used, is_page_cut = frozenset[str](), is_cut or is_shortened
    else:
        (page_words, used), is_page_cut = shown, False
    pictures = [f for f in facts.files if f.content_id in used]
    others = [f for f in facts.files if f.content_id not in used]
    original = [_original(facts)] if is_cut or is_page_cut else []

    plain = _plain(facts, texts, words, is_cut, others)
    page = _page(facts, texts, subject, page_words, is_page_cut, others)
    parts = [mailbytes.file_part(_renamed(f)) for f in (*others, *original)]
    entity = two_parts(plain, page, [mailbytes.file_part(_renamed(f), is_related=True) for f in pictures], seed)
    return mailbytes.message(
        agent_headers(facts, subject, facts.ticket, facts.thread_index), with_files(entity, parts, seed)
    )


def first_line(facts: AgentMail, texts: Texts) -> str:
    """What stands first and is the preview: `15:30 前回覆 · 營業稅申報 · 王美玲`."""
    language = facts.language
    name = _shown(facts.speaker) if facts.speaker else clean_line(facts.customer_name, MAX_NAME)
    if facts.mail_kind is MailKind.SUPERVISOR and facts.due_at is not None:
        return line_about(
            facts,
            texts,
            ticket=facts.ticket,
            name=name,
            medium=facts.medium,
            state=state_of(facts.due_at, facts, texts),
            holder=facts.holder,
            reason=facts.reason,
        )
    parts = [_what_by_when(facts, texts)]
    if facts.is_urgent:
        parts.append(texts.say("word.urgent", language))
    if facts.kind is Kind.COMPLAINT:
        parts.append(texts.say("word.kind.complaint", language))
    if facts.mail_kind is MailKind.UPDATE:
        parts.append(texts.say("word.more", language))
    parts += [part for part in (clean_line(facts.topic, 40), name) if part]
    return " · ".join(parts)


def _what_by_when(facts: AgentMail, texts: Texts) -> str:
    language = facts.language
    act = texts.say(f"word.act.{facts.target}", language)
    if facts.due_at is None:
        return facts.state or texts.say("agent.first.no_deadline", language, act=act)
    deadline = dates.deadline_clock(facts.due_at, facts.timezone, language, facts.now)
    if facts.now >= facts.due_at:
        late = state_of(facts.due_at, facts, texts)
        return texts.say("agent.first.breach", language, act=act, deadline=deadline, late=late)
    if facts.mail_kind is MailKind.WARNING:
        left = dates.span(facts.due_at - facts.now, language)
        return texts.say("agent.first.warning", language, act=act, deadline=deadline, remaining=left)
    return texts.say("agent.first.assignment", language, act=act, deadline=deadline)


def _head_lines(facts: AgentMail, texts: Texts) -> list[str]:
    """Under the first line, the same in every mail: what, until when and who speaks; why you; who gets the answer."""
    language = facts.language
    medium = texts.say(f"word.medium.{facts.medium}", language)
    if facts.channel:
        medium = f"{medium} {clean_line(facts.channel, 40)}"
    kind = texts.say(f"word.kind.{facts.kind}", language)
    if facts.due_at is None:
        what = texts.say("agent.what.no_deadline", language, medium=medium, kind=kind)
    else:
        what = texts.say(
            "agent.what.deadline",
            language,
            medium=medium,
            kind=kind,
            deadline=dates.deadline(facts.due_at, facts.timezone, language, facts.now),
            act=texts.say(f"word.act.{facts.target}", language),
        )
    if facts.standing is not None:
        what = f"{what} · {_standing(facts, texts)}"
    why = texts.say("agent.why", language, reason=sentence_part(facts.why_you)) if facts.why_you else ""
    return [line for line in (what, why, _who_gets_it(facts, texts, medium)) if line]


def _to_look_at(facts: AgentMail, texts: Texts) -> list[str]:
    """Between the head and the customer's words, where there is any: what is particular about this mail."""
    left_out = f"⚠ {sentence_part(facts.left_out)}" if facts.left_out else ""
    lines = (_asked(facts, texts), _pointer(facts, texts), left_out, *_not_followed(facts, texts))
    return [line for line in lines if line]


def _asked(facts: AgentMail, texts: Texts) -> str:
    """Whose question it is, and its beginning; whole it stands among what is internal."""
    agent, question = facts.asks
    if not agent:
        return ""
    return texts.say("agent.asks", facts.language, agent=agent, question=_short(" ".join(question.split()), MAX_ASKED))


def _pointer(facts: AgentMail, texts: Texts) -> str:
    """Which older ticket this one points at, and what the agent may do about it."""
    if facts.points_at is None or not facts.points:
        return ""
    return texts.say(f"agent.points.{facts.points}", facts.language, ref=f"#{facts.points_at}")


def _not_followed(facts: AgentMail, texts: Texts) -> list[str]:
    """Whom and what the customer's mail named that the answer does not follow by itself."""
    language, said = facts.language, []
    if facts.lay_in_junk or facts.called_spam:
        said.append(texts.say("agent.lay_in_junk" if facts.lay_in_junk else "agent.called_spam", language))
    if facts.via_form:
        said.append(texts.say("agent.via_form", language))
    if facts.reply_to_asked:
        asked = clean_line(facts.reply_to_asked, 120)
        said.append(texts.say(f"agent.reply_to.{facts.reply_to_how}", language, address=asked))
    if facts.listed:
        names = [_shown(person) for person in facts.listed[:SHOWN_PEOPLE]]
        if len(facts.listed) > SHOWN_PEOPLE:
            names.append("…")
        said.append(texts.say("agent.listed", language, who=texts.say("word.list_comma", language).join(names)))
    return said


def _standing(facts: AgentMail, texts: Texts) -> str:
    where = "standing" if facts.medium is Medium.EMAIL else "standing_here"
    return texts.say(f"{where}.{facts.standing}", facts.language)


def _who_gets_it(facts: AgentMail, texts: Texts, medium: str) -> str:
    language = facts.language
    if facts.asks[0]:
        return texts.say("agent.goes.advice", language, who=facts.asks[0])
    comma = texts.say("word.list_comma", language)
    who = comma.join(_shown(person) for person in facts.answer_goes_to)
    if not who and not facts.customer_contact:
        goes = texts.say("agent.goes.unknown", language)
    elif not who:
        goes = texts.say("agent.goes.nobody", language, contact=clean_line(facts.customer_contact, 80))
    elif facts.medium is Medium.EMAIL:
        goes = texts.say("agent.goes.mail", language, who=who)
    elif facts.medium is Medium.CHAT:
        goes = texts.say("agent.goes.chat", language, who=who)
    else:
        goes = texts.say("agent.goes.other", language, who=who, medium=medium)
    if facts.cc:
        copies = comma.join(_shown(person) for person in facts.cc)
        goes += texts.say("word.semicolon", language) + texts.say("agent.copy", language, who=copies)
    return goes


def _shown(person: Person) -> str:
    name, address = clean_line(person[0], MAX_NAME), clean_line(person[1], 120)
    if not address or name == address:
        return name or address
    return f"{name} <{address}>" if name else address


def _caption(facts: AgentMail, texts: Texts) -> str:
    """Over the customer's words: whose they are, and from when."""
    parts = [
        texts.say("agent.words", facts.language),
        _shown(facts.speaker or (facts.customer_name, facts.customer_contact)),
    ]
    if facts.received_at is not None:
        parts.append(dates.moment(facts.received_at, facts.timezone, facts.language, facts.now))
    return " · ".join(part for part in parts if part)


def _file_line(files: list[File], facts: AgentMail, texts: Texts) -> str:
    if not files:
        return ""
    names = [f"{clean_line(clean_file_name(f.name), 60)} ({size(len(f.content))})" for f in files[:SHOWN_FILES]]
    if len(files) > SHOWN_FILES:
        names.append("…")
    joined = texts.say("word.list_comma", facts.language).join(names)
    return texts.say("agent.files", facts.language, count=str(len(files)), names=joined)


def size(octets: int) -> str:
    """A file's size for people: `812 B`, `120 KB`, `1.4 MB`."""
    # The space does not break: a unit alone on a line looks lost.
    if octets < 1000:
        return f"{octets}\u00a0B"
    return f"{round(octets / 1000)}\u00a0KB" if octets < 1_000_000 else f"{octets / 1_000_000:.1f}\u00a0MB"


def _last_line(facts: AgentMail, texts: Texts) -> str:
    if facts.asks[0]:
        return texts.say("agent.last.advice", facts.language)
    return texts.say("agent.last.reply" if facts.answer_goes_to else "agent.last.no_address", facts.language)


def _exchanges(facts: AgentMail) -> list[tuple[str, str]]:
    """(who · when, words) of the last three."""

    def when(exchange: Exchange) -> str:
        said = dates.moment(exchange.at, facts.timezone, facts.language, facts.now)
        return f"{clean_line(exchange.who, MAX_NAME)} · {said}"

    return [(when(e), _short(e.text, MAX_EXCHANGE)) for e in facts.exchanges[-3:]]


def _short(text: str, limit: int) -> str:
    kept, is_cut = cut_text(clean_text(text), limit)
    return f"{kept.rstrip()} …" if is_cut else kept


# ---------- plain ----------


def _no_words(facts: AgentMail, texts: Texts) -> str:
    """In the place of words: a call has none, and is no empty mail."""
    return texts.say("agent.call" if facts.medium is Medium.PHONE else "agent.no_words", facts.language)


def _plain(facts: AgentMail, texts: Texts, words: str, is_cut: bool, files: list[File]) -> str:
    language, canary = facts.language, facts.canary
    # Mail clients show the first line in their lists: the canary stands behind the last of the head.
    *above, last = _head_lines(facts, texts)
    end = f" · {canary}" if canary else ""
    head = [wrap(first_line(facts, texts)), "", *map(wrap, above), wrap(f"{last}{end}")]
    if look := _to_look_at(facts, texts):
        head += ["", *(wrap(line, "* ", "  ") for line in (*look[:-1], f"{look[-1]}{end}"))]
    if facts.files_link[1]:
        head += ["", wrap(facts.files_link[0]), facts.files_link[1]]
    caption = f"── {_caption(facts, texts)} ──"
    said = [caption, "", words or _no_words(facts, texts)]
    if is_cut:
        said += ["", wrap(texts.say("agent.cut", language))]
    if files:
        said += ["", wrap(_file_line(files, facts, texts))]
    blocks = ["\n".join(head), "\n".join(said), MARK, *_plain_internal(facts, texts), wrap(_last_line(facts, texts))]
    return "\n\n".join(blocks) + "\n"


def _plain_internal(facts: AgentMail, texts: Texts) -> list[str]:
    language, canary = facts.language, facts.canary
    blocks = []
    if facts.note:
        body = indented(_short(facts.note, MAX_NOTE))
        blocks.append(plain_block(texts.say("agent.note", language), canary, body))
    if facts.card:
        blocks.append(plain_block(texts.say("agent.card", language), canary, plain_pairs(facts.card[:MAX_ROWS])))
    if facts.exchanges:
        lines = [f"  {who}\n{indented(said, '    ')}" for who, said in _exchanges(facts)]
        blocks.append(plain_block(texts.say("agent.history", language), canary, "\n".join(lines)))
    if facts.story:
        blocks.append(plain_block(texts.say("told.shown_story", language), canary, plain_pairs(facts.story)))
    if facts.suggestion:
        body = indented(_short(facts.suggestion, MAX_SUGGESTION))
        blocks.append(plain_block(texts.say("agent.suggestion", language), canary, body))
    if facts.actions:
        body = plain_pairs((a.typed, a.does) for a in facts.actions)
        blocks.append(plain_block(texts.say("agent.actions", language), canary, body))
    return blocks


# ---------- HTML ----------


def _page(facts: AgentMail, texts: Texts, subject: str, shown_html: str, is_cut: bool, files: list[File]) -> str:
    share = share_used(facts.started_at, facts.due_at, facts.now)
    if facts.mail_kind in (MailKind.BREACH, MailKind.SUPERVISOR):
        share = 1.0
    canary = html.canary(facts.canary)
    above = [escape(line) for line in _head_lines(facts, texts)]
    above[-1] = f'<span class="t" style="{html.TEXT}">{above[-1]}</span>'  # who gets the answer
    look = [with_commands(escape(line)) for line in _to_look_at(facts, texts)]
    if facts.files_link[1]:
        words, url = map(escape, facts.files_link)
        look.append(f'{words} <a href="{url}" rel="noopener noreferrer">{url}</a>')
    if facts.standing in (Standing.UNVERIFIED, Standing.LOOKALIKE):
        above[0] = _stressed(above[0])
    body = shown_html or f"<i>{escape(_no_words(facts, texts))}</i>"
    below = [escape(texts.say("agent.cut", facts.language))] if is_cut else []
    below += [escape(_file_line(files, facts, texts))] if files else []
    blocks = [
        html.head(html.accent(share), first_line(facts, texts), canary, above),
        *([html.aside(canary, look)] if look else []),
        html.words(_caption(facts, texts), body, "<br>".join(below)),
        html.rule(MARK),
        *_internal_blocks(facts, texts, canary),
        html.small(_last_line(facts, texts)),
    ]
    return html.page(facts.language, subject, blocks)


def _stressed(line: str) -> str:
    """The warning about who speaks in stronger type; `line` is HTML and ends with it."""
    before, _, warning = line.rpartition("⚠")
    return f'{before}<span class="t" style="{html.TEXT};font-weight:600">⚠\ufe0e{warning}</span>'


_COMMAND = re.compile("「(！[^「」]{1,120})」|“(！[^“”]{1,120})”|&quot;(![^&]{1,120})&quot;|(?<= )(![a-z]{2,10})(?= )")
MAX_WHOLE = 16  # characters of a command that no line end may cut through


def with_commands(line: str) -> str:
    """A line of HTML in which what may be typed stands out, and warnings are signs rather than pictures."""

    def stronger(match: re.Match[str]) -> str:
        typed = next(filter(None, match.groups()))
        whole = ";white-space:nowrap" if len(typed) <= MAX_WHOLE else ""
        return match[0].replace(typed, f'<b style="font-weight:600{whole}">{typed}</b>')

    return _COMMAND.sub(stronger, line).replace("⚠ ", "⚠\ufe0e ")


def _internal_blocks(facts: AgentMail, texts: Texts, canary: str) -> list[str]:
    language = facts.language
    blocks = []
    if facts.note:
        body = text_as_html(_short(facts.note, MAX_NOTE))
        blocks.append(html.block(texts.say("agent.note", language), canary, body))
    if facts.card:
        rows = html.pairs((clean_line(label, 30), clean_line(value, 200)) for label, value in facts.card[:MAX_ROWS])
        blocks.append(html.block(texts.say("agent.card", language), canary, rows))
    if facts.exchanges:
        said = "".join(
            f'<div style="padding-bottom:6px"><span class="q" style="{html.QUIET}">{escape(who)}</span><br>'
            f"{text_as_html(text)}</div>"
            for who, text in _exchanges(facts)
        )
        blocks.append(html.block(texts.say("agent.history", language), canary, said))
    if facts.story:
        blocks.append(html.block(texts.say("told.shown_story", language), canary, html.pairs(facts.story)))
    if facts.suggestion:
        body = html.boxed(text_as_html(_short(facts.suggestion, MAX_SUGGESTION)))
        blocks.append(html.block(texts.say("agent.suggestion", language), canary, body))
    if facts.actions:
        rows = "<br>".join(html.action(a.typed, a.does, a.mailto) for a in facts.actions)
        blocks.append(html.block(texts.say("agent.actions", language), canary, rows))
    return blocks


# ---------- files ----------


def _customer_html(facts: AgentMail) -> tuple[str, frozenset[str]] | None:
    """His HTML, if there is any and it can be shown whole."""
    if not facts.words_html.strip():
        return None
    # Only what can hold no script is shown in place: a page or a drawing stays a download, whatever refers to it.
    pictures = (f for f in facts.files if f.media_type in _PICTURES)
    known = frozenset(f.content_id for f in pictures if _CONTENT_ID.match(f.content_id))
    cleaned = sanitise(without_mark(facts.words_html), known)
    if cleaned is None or len(cleaned[0].encode()) > MAX_WORDS_HTML:
        return None
    return cleaned


def _text_html(words: str) -> tuple[str, bool]:
    """His text as HTML, no longer than his HTML may be (escaping can make it six times as long); and whether cut."""
    body, is_cut = text_as_html(words), False
    while len(body.encode()) > MAX_WORDS_HTML:
        words, is_cut = cut_text(words, len(words.encode()) // 2)[0], True
        body = text_as_html(words)
    return body, is_cut


def _renamed(file: File) -> File:
    return replace(file, name=clean_file_name(file.name))


def _original(facts: AgentMail) -> File:
    """All of the customer's words. The mark at the start lets Windows' editor see that it is UTF-8."""
    content = "\ufeff" + facts.words.replace("\r\n", "\n").replace("\n", "\r\n")
    return File(name="original.txt", media_type="text/plain", content=content.encode("utf-8", "replace"))
