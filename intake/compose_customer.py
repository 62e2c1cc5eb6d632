"""The customer's mail: the agent's words, the firm's signature, and nothing else; and the acknowledgement.

Pure. What an agent wrote is cleaned of control characters and goes out as it is otherwise: whether it may leave is
decided before (G15), and what of his HTML is carried in `compose_reply`. Who wrote plain text sends plain text: long
lines are left to the reader's program, and nothing says format=flowed, which QQ, 163 and Outlook do not read.
"""

from __future__ import annotations

import re
from dataclasses import replace

from channels.message import MESSAGING, Medium
from intake import compose_html as html
from intake import dates, mailbytes
from intake.compose_facts import Acknowledgement, CustomerMail, ToCustomer
from intake.compose_letter import MAX_NAME, MAX_SUBJECT, with_files
from intake.compose_reply import Carried
from intake.compose_words import clean_file_name, clean_line, clean_text, text_as_html
from intake.mailbytes import File
from intake.texts_loader import Texts
from routing.words import Kind, Standing

#: Re:, RE[2]:, 回复：, 回覆:, 答复:, AW:, SV:, 返信:, R: …, as programs of all kinds put them before each answer.
_REPLY_PREFIX = re.compile(
    r"\s*(?:re|r|回[复覆復信]|答[复覆復]|返信|aw|antw(?:ort)?|sv|vs|odp|ynt|rif|res)"
    r"\s{0,3}(?:[\[(（]\d{1,3}[\])）]|\^\d{1,3})?\s{0,3}[:：]\s*",
    re.IGNORECASE,
)
_DOT_IN_WORD = re.compile(r"\.(?=\S)")
MAX_GREETED_NAME = 40  # characters


def customer_answer(facts: CustomerMail, texts: Texts) -> bytes:
    """An agent's answer as the customer gets it, CRLF line ends. A person wrote it: no Auto-Submitted."""
    files = facts.files
    if facts.carried is None:
        entity = mailbytes.text_part("plain", _signed(clean_text(facts.words), facts, texts))
    else:
        entity = _with_html(facts.carried, facts, texts)
        shown = {(f.name, f.content) for f in facts.carried.pictures}
        files = tuple(
            f for f in files if (f.name, f.content) not in shown and f.content_id not in facts.carried.left_out
        )
    parts = [
        mailbytes.file_part(File(name=clean_file_name(f.name), media_type=f.media_type, content=f.content))
        for f in files
    ]
    subject = _reply_subject(facts, texts)
    if facts.ticket_in_subject is not None and f"[#{facts.ticket_in_subject}]" not in subject:
        subject = f"{subject} [#{facts.ticket_in_subject}]"
    headers = _headers(facts, subject)
    if facts.cc:
        headers.insert(2, mailbytes.mailboxes("Cc", [(clean_line(name, MAX_NAME), at) for name, at in facts.cc]))
    return mailbytes.message(headers, with_files(entity, parts, facts.message_id))


def customer_text(words: str) -> bytes:
    """An agent's answer for a chat or a messenger: the words in UTF-8."""
    return clean_text(words).strip().encode("utf-8")


def acknowledgement(facts: Acknowledgement, texts: Texts) -> bytes:
    """Received, number, answered by when: three sentences of plain text in the customer's own thread."""
    if facts.standing is Standing.VERIFIED:
        subject = _reply_subject(facts, texts)
    else:
        # A forger chose this address, this name and this subject: what he wrote is not carried to his victim.
        subject = texts.say("ack.subject", facts.language, ref=f"#{facts.ticket}")
        facts = replace(facts, to=("", facts.to[1]), thread_index="")
    body = f"{_acknowledged(facts, texts)}\n\n{texts.say('answer.signature', facts.language, firm=_firm(facts))}\n"
    headers = [
        *_headers(facts, subject),
        mailbytes.header("Auto-Submitted", "auto-replied"),  # RFC 3834 §5
        mailbytes.header("X-Auto-Response-Suppress", "All"),  # [MS-OXCMAIL] 2.2.3.2.14: no absence note in return
    ]
    return mailbytes.message(headers, mailbytes.text_part("plain", body))


def acknowledgement_text(facts: Acknowledgement, texts: Texts) -> bytes:
    """The same for a chat, a messenger, or as the first note to somebody whose call was missed."""
    return _acknowledged(facts, texts).encode("utf-8")


def greeted_name(display_name: str) -> str:
    """The name if it can be a name and nothing else: letters, spaces, '-, dots that end a word; else ""."""
    name = " ".join(display_name.split())
    is_plain = all(c.isalpha() or c in " .'-·" for c in name)
    if not is_plain or len(name) > MAX_GREETED_NAME or not any(c.isalpha() for c in name):
        return ""
    # "J. Smith" is a name, "evil.example" is an address that a mail client makes a link of.
    return "" if _DOT_IN_WORD.search(name.replace(". ", " ")) else name


def reply_subject(subject: str) -> str:
    """`Re: ` once, whatever stood before: `RE: 回覆：Re: X` becomes `Re: X`."""
    return f"Re: {bare_subject(subject)}"


def bare_subject(subject: str) -> str:
    """The subject without what programs put before it when they answer."""
    rest = clean_line(subject, MAX_SUBJECT)
    while match := _REPLY_PREFIX.match(rest):
        rest = rest[match.end() :]
    return rest


def _acknowledged(facts: Acknowledgement, texts: Texts) -> str:
    is_mail = facts.medium is Medium.EMAIL
    say_deadline, say_moment = (dates.deadline, dates.moment) if is_mail else (dates.deadline_near, dates.near)
    values = {
        "greeting": _greeting(facts, texts),
        "firm": _firm(facts),
        "ref": f"#{facts.ticket}",
        "where": texts.say(f"ack.where.{facts.elsewhere}", facts.language) if facts.elsewhere is not None else "",
        "deadline": say_deadline(facts.due_at, facts.timezone, facts.language, facts.now),
        "opens_at": say_moment(facts.opens_at or facts.due_at, facts.timezone, facts.language, facts.now),
    }
    text = texts.say(_ack_key(facts), facts.language, **values)
    if facts.opens_at is not None and facts.hotline and facts.kind is not Kind.COMPLAINT:
        text += _gap(facts.language) + texts.say("ack.hotline", facts.language, hotline=facts.hotline)
    return text


def _ack_key(facts: Acknowledgement) -> str:
    if facts.elsewhere is not None:
        return "ack.elsewhere" if facts.medium is Medium.EMAIL else "ack.elsewhere_here"
    if facts.is_postponed:
        return "ack.postponed" if facts.medium is Medium.EMAIL else "ack.postponed_here"
    if facts.medium is Medium.EMAIL:
        if facts.kind is Kind.COMPLAINT:
            return "ack.complaint"
        return "ack.email_out_of_hours" if facts.opens_at else "ack.email"
    if facts.medium is Medium.PHONE:
        return "ack.phone_missed"
    name = "ack.messaging" if facts.medium in MESSAGING else "ack.chat"
    return f"{name}_out_of_hours" if facts.opens_at else name


def _gap(language: str) -> str:
    return " " if language == dates.EN else ""


def _greeting(facts: ToCustomer, texts: Texts) -> str:
    name = greeted_name(facts.to[0])
    return texts.say("greeting.named" if name else "greeting.neutral", facts.language, name=name)


def _firm(facts: ToCustomer) -> str:
    return clean_line(facts.firm, 80).removesuffix("客服").rstrip()


def _signature(facts: CustomerMail, texts: Texts) -> str:
    own = clean_text(facts.signature) or texts.say("answer.signature", facts.language, firm=_firm(facts))
    author = clean_line(facts.author, MAX_NAME)
    return f"{author}\n{own}" if author else own


def _reply_subject(facts: ToCustomer, texts: Texts) -> str:
    own = clean_line(facts.customer_subject, MAX_SUBJECT) or texts.say("answer.subject", facts.language)
    return reply_subject(own) if facts.in_reply_to else own


def _headers(facts: ToCustomer, subject: str) -> list[bytes]:
    """Of any mail to a customer: From is the firm's, and answers come back to it."""
    references = facts.references
    if facts.in_reply_to and facts.in_reply_to not in references[-1:]:
        references = (*references, facts.in_reply_to)
    return [
        mailbytes.mailboxes("From", [(clean_line(facts.desk_name, 80), facts.desk_address)]),
        mailbytes.mailboxes("To", [(clean_line(facts.to[0], 80), facts.to[1])]),
        mailbytes.header("Subject", subject),
        mailbytes.date(facts.date),
        mailbytes.message_id(facts.message_id),
        mailbytes.ids("In-Reply-To", [facts.in_reply_to]),
        mailbytes.ids("References", references),
        *_conversation(facts),
        mailbytes.header("X-Intake-Loop", facts.loop) if facts.loop else b"",
    ]


def _conversation(facts: ToCustomer) -> list[bytes]:
    """Outlook's two headers, where his own mail had them: the answer stands in his conversation."""
    index = mailbytes.thread_index_reply(facts.thread_index, facts.date, facts.message_id) if facts.thread_index else ""
    if not index or not facts.in_reply_to:
        return []
    topic = bare_subject(facts.customer_subject)
    return [mailbytes.header("Thread-Topic", topic) if topic else b"", mailbytes.header("Thread-Index", index)]


def _signed(words: str, facts: CustomerMail, texts: Texts) -> str:
    return f"{words}\n\n-- \n{_signature(facts, texts)}\n"


def _with_html(carried: Carried, facts: CustomerMail, texts: Texts) -> bytes:
    """Both texts, and the pictures beside them: related round alternative, as Outlook and Gmail write it."""
    plain = mailbytes.text_part("plain", _signed(clean_text(carried.plain), facts, texts))
    page = html.letter(facts.language, carried.html, text_as_html(_signature(facts, texts)))
    entity = mailbytes.multipart("alternative", [plain, mailbytes.text_part("html", page)], facts.message_id)
    if not carried.pictures:
        return entity
    pictures = [
        mailbytes.file_part(replace(f, name=clean_file_name(f.name)), is_related=True) for f in carried.pictures
    ]
    return mailbytes.multipart("related", [entity, *pictures], facts.message_id, root_type="multipart/alternative")
