"""What all mails to agents share: headers, names, the plain blocks, the two parts."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from channels.message import Medium
from intake import dates, mailbytes
from intake.compose_facts import MARK, ToAgent
from intake.compose_words import clean_line, clean_text, columns, pad, wrap
from intake.texts_loader import Texts

MAX_SUBJECT = 120  # characters of the customer's own subject
MAX_NAME = 40  # characters of a person's name
_SERVICE = "客服"  # stands in every display name, whatever the language: address books remember it


def agent_subject(ticket: int, name: str, customer_subject: str, texts: Texts, language: str) -> str:
    """`[#1042] 王美玲 · <his own subject>`: the same for every mail about the ticket, so give what was frozen."""
    subject = clean_line(customer_subject, MAX_SUBJECT) or texts.say("word.no_subject", language)
    parts = [part for part in (clean_line(name, MAX_NAME), subject) if part]
    return f"[#{ticket}] {' · '.join(parts)}"


def desk_display_name(desk_name: str, ticket: int | None) -> str:
    """The firm's name with `客服 #1042`, whatever it ends in."""
    firm = clean_line(desk_name, MAX_NAME).removesuffix(_SERVICE).rstrip()
    number = f" #{ticket}" if ticket is not None else ""
    # "誠信財稅客服" and "誠信財稅" both read "誠信財稅 客服 #1042".
    return f"{firm} {_SERVICE}{number}".strip()


def agent_headers(facts: ToAgent, subject: str, ticket: int | None, thread_index: bytes) -> list[bytes]:
    """The headers of a mail to an agent. Raises HeaderRefused if an id or address given is none."""
    display = desk_display_name(facts.desk_name, ticket)
    return [
        mailbytes.mailboxes("From", [(display, facts.desk_address)]),
        mailbytes.mailboxes("To", [(clean_line(facts.agent_name, MAX_NAME), facts.agent_address)]),
        mailbytes.mailboxes("Reply-To", [(display, facts.reply_to)]) if facts.reply_to else b"",
        mailbytes.header("Subject", subject),
        mailbytes.date(facts.date),
        mailbytes.message_id(facts.message_id),
        mailbytes.ids("In-Reply-To", facts.references[-1:]),
        mailbytes.ids("References", facts.references),
        # What goes to agents is not kept from being answered by their absence notes: the desk wants to see those.
        mailbytes.header("Auto-Submitted", "auto-generated"),
        mailbytes.header("X-Intake-Loop", facts.loop) if facts.loop else b"",
        mailbytes.header("Thread-Topic", subject) if thread_index else b"",
        mailbytes.header("Thread-Index", base64.b64encode(thread_index).decode()) if thread_index else b"",
    ]


def state_of(due_at: datetime, facts: ToAgent, texts: Texts) -> str:
    """`剩 12 分`, `逾時 4 分`; in the first minute after the deadline `剛逾時`."""
    left = due_at - facts.now
    if left > timedelta(0):
        return texts.say("notice.left", facts.language, span=dates.span(left, facts.language))
    if left > -timedelta(minutes=1):
        return texts.say("notice.just_late", facts.language)
    return texts.say("notice.late", facts.language, span=dates.span(left, facts.language))


def line_about(
    facts: ToAgent, texts: Texts, *, ticket: int, name: str, medium: Medium, state: str, holder: str, reason: str
) -> str:
    """`#1042 王美玲 郵件 · 逾時 4 分 · 陳 · 原因：午休無人接手`: one target, in a supervisor's mail and in notices."""
    said = texts.say(
        "notice.line",
        facts.language,
        ref=f"#{ticket}",
        name=clean_line(name, MAX_NAME),
        medium=texts.say(f"word.medium.{medium}", facts.language),
        state=state,
        holder=clean_line(holder, MAX_NAME) or texts.say("word.nobody", facts.language),
    )
    if not reason:
        return said
    return f"{said} · {texts.say('notice.reason', facts.language, reason=sentence_part(reason, 120))}"


def two_parts(plain: str, html: str, pictures: Sequence[bytes], seed: str) -> bytes:
    """The same words twice, the HTML with its pictures beside it."""
    html_part = mailbytes.text_part("html", html)
    if pictures:
        html_part = mailbytes.multipart("related", [html_part, *pictures], seed)
    return mailbytes.multipart("alternative", [mailbytes.text_part("plain", plain), html_part], seed)


def with_files(entity: bytes, files: Sequence[bytes], seed: str) -> bytes:
    """An entity with file parts behind it."""
    return mailbytes.multipart("mixed", [entity, *files], seed) if files else entity


def sentence_part(text: str, limit: int = 300) -> str:
    """Half a sentence of somebody else's, without its full stop."""
    return clean_line(text, limit).rstrip("。.；;，,")


def plain_block(caption: str, canary: str, body: str) -> str:
    """An internal block of the plain part. `body` is wrapped already."""
    return f"【{caption}】{' ' + canary if canary else ''}\n{body}"


def plain_pairs(rows: Iterable[tuple[str, str]]) -> str:
    """Labels and values in two aligned columns."""
    cleaned = [(clean_line(label, 30), clean_line(value, 200)) for label, value in rows]
    width = min(16, max((columns(label) for label, _ in cleaned), default=0))
    return "\n".join(wrap(value, f"  {pad(label, width)}  ", " " * (width + 4)) for label, value in cleaned)


def indented(text: str, by: str = "  ") -> str:
    """Words of several lines, indented and wrapped."""
    return wrap(clean_text(text), by, by)


def without_mark(text: str) -> str:
    """A customer's words in which nobody can draw our line: a forged card must not pass for ours."""
    return text.replace(MARK, MARK.replace("─", "-")).replace("────────", "--------")
