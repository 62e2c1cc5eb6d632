"""A visitor's line from the octets that were kept: raw to normal form."""

from __future__ import annotations

import unicodedata

import orjson

from channels.message import Address, Medium, Message, Scheme, Verdict

MAX_NAME = 60  # characters

#: C0 and C1 controls but tab and line feed; a database or a terminal may stumble over them.
_CONTROLS = {c: None for c in (*range(0x20), *range(0x7F, 0xA0)) if c not in (0x09, 0x0A)}


def read(raw: bytes) -> Message:
    """The normal form of an accepted line. Raises ValueError for anything this module has not written."""
    data = orjson.loads(raw)
    try:
        session, client_id, text = data["session"], data["client_id"], data["text"]
        name, language = data.get("name", ""), data.get("language", "")
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"no chat line: {error!r}") from error
    if not all(isinstance(each, str) for each in (session, client_id, text, name, language)):
        raise ValueError("no chat line: a field is not a text")
    words = clean(text)
    return Message(
        medium=Medium.CHAT,
        sender=Address(scheme=Scheme.WEB, value=session, display_name=safe_name(name)),
        text=words,
        text_full=words,
        message_id=f"{session}:{client_id}",
        references=(session,),
        language=language,
        authentication=(Verdict(by="webchat", method="token", result="pass"),),
    )


def clean(text: str) -> str:
    """The words without control characters; line ends as line feeds."""
    return text.replace("\r\n", "\n").replace("\r", "\n").translate(_CONTROLS).strip()


def safe_name(name: str) -> str:
    """Without control, bidi and zero-width characters."""
    folded = unicodedata.normalize("NFKC", name)
    return " ".join("".join(c for c in folded if unicodedata.category(c)[0] != "C").split())[:MAX_NAME]
