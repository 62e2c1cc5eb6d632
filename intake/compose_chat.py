"""Letters to agents as a chat shows them: the mail's own words, without what only a mail needs. Pure."""

from __future__ import annotations

import re
from email import message_from_bytes
from email.policy import SMTP

from intake.texts_loader import Texts

MAX_LETTER = 3800  # characters: one message, so that a reply to it is a reply to all of it
_LINK = re.compile(r"\s*<?mailto:[^\s>]{20,}>?")
_RULE = re.compile(r"[-─=_]{6,}")
_GAP = re.compile(r"\n{3,}")
#: What may be pressed: the text of the label, and what pressing it says. Each can be called back or harms nobody.
_BUTTONS = (("chat.close", "!close"), ("chat.wait", "!wait"), ("chat.urgent", "!urgent"), ("chat.show", "!show"))


def letter_in_chat(mail: bytes, language: str, texts: Texts) -> bytes:
    """From the octets of a mail that is ours, composed `unfolded`: its subject and words."""
    read = message_from_bytes(mail, policy=SMTP)
    plain = read.get_body(preferencelist=("plain",))
    words = str(plain.get_content()) if plain is not None else ""
    words = _LINK.sub("", words.replace("\r\n", "\n"))
    words = "\n".join(_RULE.sub("──────", line).rstrip() for line in words.splitlines())
    words = words.replace(texts.say("agent.last.reply", language), texts.say("chat.last", language))
    whole = "\n\n".join(filter(None, (str(read["Subject"]), _GAP.sub("\n\n", words).strip())))
    if len(whole) > MAX_LETTER:
        whole = whole[:MAX_LETTER].rpartition("\n")[0] + "\n…"
    return whole.encode()


def notice_in_chat(ticket: int | None, language: str, texts: Texts) -> bytes:
    """That there is something to read, where its words may not go through the chat's provider."""
    where = f"#{ticket}" if ticket is not None else ""
    return texts.say("chat.notice", language, ref=where).strip().encode()


def buttons_in_chat(language: str, texts: Texts) -> tuple[tuple[str, str], ...]:
    """(label, what a press says) of each."""
    return tuple((texts.say(key, language), says) for key, says in _BUTTONS)
