"""Notices and what became of things: one line each, several as a small table; a told mail says why and what now.

Pure. A told mail quotes what would have left below the mark, with the canary: it is internal like everything there.
"""

from __future__ import annotations

from dataclasses import replace

from intake import compose_html as html
from intake import dates, mailbytes
from intake.compose_facts import MARK, NoticeLine, NoticeMail, Told, ToldMail
from intake.compose_letter import (
    MAX_NAME,
    agent_headers,
    agent_subject,
    line_about,
    plain_block,
    plain_pairs,
    sentence_part,
    state_of,
    two_parts,
    with_files,
)
from intake.compose_words import clean_file_name, clean_line, clean_text, cut_text, escape, text_as_html, wrap
from intake.texts_loader import Texts
from routing.deed import Place
from routing.deeds import DEEDS
from routing.words import NoticeKind

MAX_LINES = 60  # notices shown in one mail; the rest are counted
MAX_DETAIL = 500  # characters of what goes into a sentence: every topic of a desk
MAX_QUOTED = 12 * 1024  # octets of what would have left
MAX_WAITING = 40 * 1024  # octets of what leaves at a word: longer answers are rare, and no mail shows much more


def notice_mail(facts: NoticeMail, texts: Texts) -> bytes:
    """One line for one notice, a small table in order of deadline for several. `facts.lines` is not empty."""
    lines = sorted(facts.lines, key=lambda line: (line.due_at, line.ticket))
    ticket = lines[0].ticket if len({line.ticket for line in lines}) == 1 else None
    first = notice_line(lines[0], facts, texts) if len(lines) == 1 else _digest(facts, texts)
    if ticket is not None and facts.customer_subject is not None:
        subject = agent_subject(ticket, facts.subject_name, facts.customer_subject, texts, facts.language)
    else:
        subject = first
    plain = _notice_plain(facts, texts, first, lines)
    page = _notice_page(facts, texts, subject, first, lines)
    headers = agent_headers(facts, subject, ticket, facts.thread_index)
    return mailbytes.message(headers, two_parts(plain, page, (), facts.message_id))


def _notice_plain(facts: NoticeMail, texts: Texts, first: str, lines: list[NoticeLine]) -> str:
    end = f" · {facts.canary}" if facts.canary else ""
    blocks = [wrap(first + end), MARK]
    if len(lines) == 1:
        blocks.insert(1, wrap(_due(lines[0], facts, texts)))
    else:
        said = "\n".join(wrap(notice_line(line, facts, texts), "", "    ") for line in lines[:MAX_LINES])
        blocks.append(plain_block(texts.say("notice.table", facts.language), facts.canary, said))
        blocks += _not_shown(facts, texts)
    if facts.actions:
        typed = plain_pairs((a.typed, a.does) for a in facts.actions)
        blocks.append(plain_block(texts.say("notice.actions", facts.language), facts.canary, typed))
    blocks.append(wrap(_last(facts, texts)))
    return "\n\n".join(blocks) + "\n"


def _notice_page(facts: NoticeMail, texts: Texts, subject: str, first: str, lines: list[NoticeLine]) -> str:
    canary = html.canary(facts.canary)
    # A warning at 80 % is as red in a notice as in the ticket's own mail.
    is_pressing = any(_is_late(line, facts) or line.notice is NoticeKind.WARN_80 for line in lines)
    under = [escape(_due(lines[0], facts, texts))] if len(lines) == 1 else []
    blocks = [html.head("red" if is_pressing else "amber", first, canary, under), html.rule(MARK)]
    if len(lines) > 1:
        rows = _table(lines[:MAX_LINES], facts, texts)
        rows += "".join(escape(said) for said in _not_shown(facts, texts))
        blocks.append(html.block(texts.say("notice.table", facts.language), canary, rows))
    if facts.actions:
        offered = "<br>".join(html.action(a.typed, a.does, a.mailto) for a in facts.actions)
        blocks.append(html.block(texts.say("notice.actions", facts.language), canary, offered))
    blocks.append(html.small(_last(facts, texts)))
    return html.page(facts.language, subject, blocks)


def _last(facts: NoticeMail, texts: Texts) -> str:
    """How to go on: one about a single ticket may be answered."""
    return texts.say("agent.last.reply" if facts.reply_to else "notice.last.agent", facts.language)


def notice_line(line: NoticeLine, facts: NoticeMail, texts: Texts) -> str:
    """`#1042 王美玲 郵件 · 逾時 4 分 · 陳 · 原因：午休無人接手`."""
    return line_about(
        facts,
        texts,
        ticket=line.ticket,
        name=line.customer_name,
        medium=line.medium,
        state=state_of(line.due_at, facts, texts),
        holder=line.holder,
        reason=line.reason,
    )


def told_mail(facts: ToldMail, texts: Texts) -> bytes:
    """Why, what now, and below the mark what would have left (or what the agent wrote)."""
    language, key = facts.language, f"told.{facts.told}"
    detail = clean_line(facts.detail, MAX_DETAIL)
    values = {name: clean_line(facts.values.get(name, ""), 120) for name in _FILLED_IN}
    head = texts.say(f"{key}.head", language, detail=detail, **values)
    name = clean_line(facts.subject_name, MAX_NAME) if facts.customer_subject is not None else ""
    ref = f"#{facts.ticket}" if facts.ticket is not None else ""
    first = " · ".join(part for part in (head, ref, name) if part)
    if facts.ticket is not None and facts.customer_subject is not None:
        subject = agent_subject(facts.ticket, facts.subject_name, facts.customer_subject, texts, language)
    else:
        subject = f"[{ref}] {head}" if ref else head
    why = texts.say(f"{key}.why", language, detail=detail, **values)
    said = [why, *(clean_line(line, 400) for line in facts.also), texts.say(f"{key}.todo", language, **values)]
    if detail and detail not in head + why:
        label = "told.typed" if detail.startswith(("!", "！")) else "told.detail"
        said.insert(1, texts.say(label, language, detail=detail))
    entity = two_parts(
        _told_plain(facts, texts, first, said), _told_page(facts, texts, subject, first, said), (), facts.message_id
    )
    files = [mailbytes.file_part(replace(f, name=clean_file_name(f.name))) for f in facts.files]
    headers = agent_headers(facts, subject, facts.ticket, facts.thread_index)
    return mailbytes.message(headers, with_files(entity, files, facts.message_id))


#: What the sentences of a code may be filled in with, beside the detail.
_FILLED_IN = ("by", "at", "since", "who")
_CALM = {
    *(Told.HELP, Told.MOVED, Told.CUSTOMER_GONE, Told.DELIVERED_LATE, Told.RECIPIENTS, Told.JUNK_SEEN),
    *(Told.ENDED, Told.MERGED_AWAY),
    *(Told.ADVICE, Told.CONSULT_ASKED, Told.RECORDED, Told.RECORDED_BY, Told.FILES_KEPT_BACK, Told.WAIT_OVER),
    *(Told.ANSWERED_BY, Told.REPLACED, Told.CALLED_BACK, Told.NOT_CLOSED),
    *(Told.ALREADY_HERE, Told.PASSED_NOTE),
    *(Told.PRESENCE_OFF, Told.PRESENCE_BREAK, Told.AWAY_DONE, Told.AWAY_YOU, Told.HOLIDAY_DONE, Told.TEXT_DONE),
    *(Told.QUESTION_DONE, Told.QUESTION_DROPPED),
}
#: Where the quoted words are what the agent wrote, rather than what was held back from leaving.
_WRITTEN = _CALM | {
    *(Told.EMPTY_REPLY, Told.UNKNOWN_COMMAND, Told.DELIVERY_FAILED, Told.DELIVERY_UNKNOWN, Told.COPY_UNDELIVERED),
    *(Told.MERGED_WORDS, Told.MERGE_ASKED_WORDS, Told.SPLIT_WORDS),
    *(Told.JOINED_WORDS, Told.SPAM_WORDS, Told.SPAM_WORDS_HERE, Told.WORDS_UNUSED),
    *(Told.BAD_PLACEHOLDER, Told.NO_SUCH_TEXT, Told.NO_WORDS_FOR_TEXT),
    *(Told.CALLED_BACK, Told.UNDO_LATE, Told.UNDO_NOTHING, Told.UNDO_OFF, Told.NOT_YOURS_NOW),
}
#: Where the quoted words have left.
_SENT = {Told.ANSWERED_BY, Told.REPLACED}
#: Where they leave at a word: they are shown whole, as far as a mail can hold them.
_MAY_LEAVE = {
    *(Told.ALREADY_ANSWERED, Told.NOT_HOLDER, Told.CUSTOMER_WROTE, Told.NO_REFERENCE),
    *(Told.CLOSED_TICKET, Told.LOOKS_LIKE_NOTE, Told.LOOKS_ABSENT, Told.MERGED_ON, Told.AFTER_ADVICE),
    *(Told.FILES_UNSENT, Told.BY_PROGRAM),
}


def _told_plain(facts: ToldMail, texts: Texts, first: str, said: list[str]) -> str:
    end = f" · {facts.canary}" if facts.canary else ""
    blocks = [wrap(first + end), *(wrap(line) for line in said), MARK]
    if facts.told is Told.HELP:
        blocks += [plain_block(where, facts.canary, plain_pairs(rows)) for where, rows in _commands(facts, texts)]
    if facts.actions:
        typed = plain_pairs((a.typed, a.does) for a in facts.actions)
        blocks.append(plain_block(texts.say("agent.actions", facts.language), facts.canary, typed))
    if facts.would_have_left:
        quoted = "\n".join(f"> {line}".rstrip() for line in _quoted(facts).split("\n"))
        blocks.append(plain_block(_quoted_caption(facts, texts), facts.canary, quoted))
    if facts.newer:
        newer = "\n".join(f"> {line}".rstrip() for line in _cut(facts.newer, MAX_QUOTED).split("\n"))
        blocks.append(plain_block(texts.say("told.newer", facts.language), facts.canary, newer))
    return "\n\n".join([*blocks, wrap(texts.say("told.last", facts.language))]) + "\n"


def _told_page(facts: ToldMail, texts: Texts, subject: str, first: str, said: list[str]) -> str:
    canary = html.canary(facts.canary)
    colour = "calm" if facts.told in _CALM else "amber"
    blocks = [html.head(colour, first, canary, [escape(line) for line in said]), html.rule(MARK)]
    if facts.told is Told.HELP:
        blocks += [html.block(where, canary, html.pairs(rows)) for where, rows in _commands(facts, texts)]
    if facts.actions:
        offered = "<br>".join(html.action(a.typed, a.does, a.mailto) for a in facts.actions)
        blocks.append(html.block(texts.say("agent.actions", facts.language), canary, offered))
    if facts.would_have_left:
        body = html.boxed(text_as_html(_quoted(facts)))
        blocks.append(html.block(_quoted_caption(facts, texts), canary, body))
    if facts.newer:
        body = html.boxed(text_as_html(_cut(facts.newer, MAX_QUOTED)))
        blocks.append(html.block(texts.say("told.newer", facts.language), canary, body))
    blocks.append(html.small(texts.say("told.last", facts.language)))
    return html.page(facts.language, subject, blocks)


def _commands(facts: ToldMail, texts: Texts) -> list[tuple[str, list[tuple[str, str]]]]:
    """(where it may be written, every command and what it does), in the reader's language."""
    say, language = texts.say, facts.language
    groups: dict[str, list[tuple[str, str]]] = {"help.on_ticket": [], "help.anywhere": [], "help.supervisors": []}
    for name, deed in DEEDS.items():
        where = "help.on_ticket" if deed.place is Place.TICKET else "help.anywhere"
        where = "help.supervisors" if deed.for_supervisors else where
        groups[where].append((say(f"action.typed_{name}", language), say(f"action.{name}", language)))
    if not facts.is_supervisor:
        del groups["help.supervisors"]
    return [(say(where, language), rows) for where, rows in groups.items() if rows]


def _quoted_caption(facts: ToldMail, texts: Texts) -> str:
    if facts.caption:
        return facts.caption
    if facts.told is Told.JUNK_SEEN:
        return texts.say("told.junk_list", facts.language)
    if facts.told is Told.QUESTION:
        return texts.say("told.question_shown", facts.language)
    if facts.told is Told.PASSED_NOTE:
        return texts.say("told.passed_words", facts.language)
    if facts.told in _SENT:
        return texts.say("told.sent_words", facts.language)
    return texts.say("told.your_words" if facts.told in _WRITTEN else "told.would", facts.language)


def _quoted(facts: ToldMail) -> str:
    return _cut(facts.would_have_left, MAX_WAITING if facts.told in _MAY_LEAVE else MAX_QUOTED)


def _cut(text: str, octets: int) -> str:
    kept, is_cut = cut_text(clean_text(text), octets)
    return f"{kept} …" if is_cut else kept


# ---------- parts of a notice ----------


def _is_late(line: NoticeLine, facts: NoticeMail) -> bool:
    return facts.now >= line.due_at


def _due(line: NoticeLine, facts: NoticeMail, texts: Texts) -> str:
    deadline = dates.deadline(line.due_at, facts.timezone, facts.language, facts.now)
    act = texts.say(f"word.act.{line.target}", facts.language)
    said = texts.say("notice.due", facts.language, deadline=deadline, act=act)
    return f"{said} · {clean_line(line.topic, 40)}" if line.topic else said


def _not_shown(facts: NoticeMail, texts: Texts) -> list[str]:
    more = len(facts.lines) - MAX_LINES
    return [texts.say("notice.more", facts.language, count=str(more))] if more > 0 else []


def _digest(facts: NoticeMail, texts: Texts) -> str:
    late = sum(_is_late(line, facts) for line in facts.lines)
    counts = (("notice.count_late", late), ("notice.count_soon", len(facts.lines) - late))
    parts = [texts.say(key, facts.language, count=str(count)) for key, count in counts if count]
    joined = texts.say("word.list_comma", facts.language).join(parts)
    return texts.say("notice.digest", facts.language, count=str(len(facts.lines)), parts=joined)


def _table(lines: list[NoticeLine], facts: NoticeMail, texts: Texts) -> str:
    titles = [texts.say(f"notice.column.{name}", facts.language) for name in ("ticket", "state", "holder")]
    return html.table(titles, [_row(line, facts, texts) for line in lines])


def _row(line: NoticeLine, facts: NoticeMail, texts: Texts) -> list[str]:
    medium = texts.say(f"word.medium.{line.medium}", facts.language)
    quiet = f'<br><span class="q" style="{html.QUIET};font-size:13px">'
    number = f"<b>#{line.ticket}</b>"
    if line.show.startswith("mailto:"):
        number = f'<a href="{escape(line.show)}">{number}</a>'
    who = f"{number} {escape(clean_line(line.customer_name, MAX_NAME))}"
    due = dates.deadline_clock(line.due_at, facts.timezone, facts.language, facts.now)
    colour = "red" if _is_late(line, facts) else "amber"
    holder = clean_line(line.holder, MAX_NAME) or texts.say("word.nobody", facts.language)
    reason = f"{quiet}{escape(sentence_part(line.reason, 120))}</span>" if line.reason else ""
    about = " · ".join(part for part in (medium, clean_line(line.topic, 40)) if part)
    return [
        f"{who}{quiet}{escape(about)}</span>",
        f"{html.coloured(state_of(line.due_at, facts, texts), colour)}{quiet}{escape(due)}</span>",
        f"{escape(holder)}{reason}",
    ]
