"""What the playground's mail client shows of a mail, and the mails it writes: pure.

It writes as ordinary mail clients do (a reply goes to Reply-To, carries In-Reply-To and References and quotes the
original beneath), with the standard library and not with the daemon's own composer: the daemon has to cope with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, formataddr

from channels import charsets, headers, parts
from channels.htmltext import to_text

MAX_SHOWN = 64 * 1024  # characters of a mail's text
MAX_HTML = 1024 * 1024  # octets of its HTML part
MAX_SUBJECT = 300  # characters
MAX_TEXT = 32 * 1024  # characters somebody may write
PREVIEW = 90  # characters
MAX_REFERENCES = 20  # ids


@dataclass(frozen=True, kw_only=True, slots=True)
class Letter:
    """A mail as a mail client shows it."""

    subject: str
    sender: tuple[str, str]  # display name, address
    to: tuple[tuple[str, str], ...]
    cc: tuple[tuple[str, str], ...]
    reply_to: tuple[str, ...]  # addresses an answer goes to
    at: datetime | None  # the Date header
    text: str
    html: str  # as it came: shown in a sandbox only
    files: tuple[tuple[str, int], ...]  # name, octets
    message_id: str
    references: tuple[str, ...]

    @property
    def preview(self) -> str:
        return " ".join(self.text.split())[:PREVIEW]


def read(raw: bytes) -> Letter:
    """A mail taken apart; whatever is missing is empty. Raises nothing."""
    tree = parts.cut(raw)
    field = tree.headers.first
    words = {"text/plain": "", "text/html": ""}
    files = []
    for part in tree.parts:
        octets = tree.payload(part)
        is_words = part.media_type in words and part.disposition != "attachment"
        if is_words and not words[part.media_type]:
            words[part.media_type] = charsets.decode(octets[:MAX_HTML], part.params.get("charset", ""))
        elif part.file_name or not is_words:
            files.append((part.file_name or part.media_type, len(octets)))
    sender = headers.addresses(field(b"from"))
    ids = (*headers.message_ids(field(b"references")), *headers.message_ids(field(b"message-id")))
    text = words["text/plain"] or to_text(words["text/html"])
    return Letter(
        subject=headers.text(field(b"subject"))[:MAX_SUBJECT],
        sender=sender[0] if sender else ("", ""),
        to=tuple(headers.addresses(field(b"to"))),
        cc=tuple(headers.addresses(field(b"cc"))),
        reply_to=_as_written(field(b"reply-to")) or _as_written(field(b"from")),
        at=headers.date(field(b"date")),
        text=text.replace("\r\n", "\n").strip()[:MAX_SHOWN],
        html=words["text/html"],
        files=tuple(files),
        message_id=next(iter(headers.message_ids(field(b"message-id"))), ""),
        references=ids[-MAX_REFERENCES:],
    )


def _as_written(value: bytes) -> tuple[str, ...]:
    """The addresses of a header, in the letters they were written in: mail clients do not fold them."""
    whole = headers.text(value)
    folded = whole.lower()
    places = ((address, folded.find(address)) for _, address in headers.addresses(value))
    return tuple(whole[at : at + len(address)] if at >= 0 else address for address, at in places)


@dataclass(frozen=True, kw_only=True, slots=True)
class Writer:
    """Who writes, when, and under which id."""

    name: str
    address: str
    at: datetime  # in the writer's own zone
    message_id: str


def new(writer: Writer, to: str, subject: str, text: str, cc: str = "") -> EmailMessage:
    """A new mail; `cc` is what was typed, commas between. Raises ValueError where a header cannot hold it."""
    mail = EmailMessage(policy=SMTP)
    mail["From"] = formataddr((writer.name, writer.address))
    mail["To"] = to
    if cc:
        mail["Cc"] = cc
    mail["Subject"] = " ".join(subject.split())[:MAX_SUBJECT]
    mail["Date"] = format_datetime(writer.at)
    mail["Message-ID"] = writer.message_id
    mail["User-Agent"] = "Playground"
    mail.set_content(text.replace("\r\n", "\n")[:MAX_TEXT] + "\n", cte="base64" if not text.isascii() else None)
    return mail


def reply(writer: Writer, original: Letter, text: str) -> EmailMessage:
    """An answer, as a mail client's Reply button makes it, the original quoted beneath."""
    subject = original.subject
    if not subject.lower().startswith(("re:", "re：", "回覆:", "回复:")):
        subject = f"Re: {subject}"
    mail = new(writer, ", ".join(original.reply_to), subject, f"{text}\n\n{_quoted(original)}")
    if original.message_id:
        mail["In-Reply-To"] = original.message_id
        mail["References"] = " ".join(original.references)
    return mail


def _quoted(original: Letter) -> str:
    """`On …, NAME <ADDRESS> wrote:` and the original behind `>`."""
    name, address = original.sender
    when = original.at.strftime("%Y-%m-%d %H:%M") if original.at else ""
    lines = "\n".join(f"> {line}".rstrip() for line in original.text.split("\n"))
    return f"On {when}, {name} <{address}> wrote:\n{lines}"
