"""What a border mail server writes on top of a mail, and what it takes out: pure.

As RFC 8601 §5 asks, whatever claims to be this server's own verdict is removed from mail that comes in, and
the real verdict stands above the Received line of the same hop. Everything else stays octet for octet.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from email.errors import MessageError
from email.parser import BytesHeaderParser
from email.policy import compat32
from email.utils import format_datetime, getaddresses

MAX_HEAD = 256 * 1024  # octets of header fields that are looked at
MAX_FROM = 2048  # characters of a From field that are looked at
#: A header field: its name, up to the end of its last folded line.
_FIELD = re.compile(rb"[!-9;-~]+[ \t]*:[^\n]*\n(?:[ \t][^\n]*\n)*")
_UNSAFE = re.compile(r"[^\w.@+=-]")


@dataclass(frozen=True, kw_only=True, slots=True)
class Hop:
    """What the server knows of a hand-over."""

    host: str  # the server itself: authserv-id, and the name in "Received: … by"
    home: frozenset[str]  # domains whose mail is to come from logged-in users only
    login: str  # address that logged in, "" if nobody did
    mail_from: str
    recipient: str  # as the envelope has it, plus part included
    helo: str
    peer: str
    id: str
    at: datetime


def split(raw: bytes) -> tuple[bytes, bytes]:
    """Header fields and the rest; the rest begins with the empty line."""
    for end in (b"\r\n\r\n", b"\n\n"):
        head, blank, body = raw.partition(end)
        if blank:
            return head + end[: len(end) // 2], end[: len(end) // 2] + body
    return raw, b""


def without_own_verdicts(head: bytes, host: str) -> bytes:
    """Header fields without the Authentication-Results that bear the server's own name."""
    own = host.lower().encode()

    def kept(match: re.Match[bytes]) -> bytes:
        name, _, value = match[0].partition(b":")
        is_own = name.strip().lower() == b"authentication-results" and own in value.lower()
        return b"" if is_own else match[0]

    return _FIELD.sub(kept, head)


def from_addresses(head: bytes) -> list[str]:
    """Every address in every From field, lower case; nothing where it cannot be read."""
    try:
        fields = BytesHeaderParser(policy=compat32).parsebytes(head[:MAX_HEAD]).get_all("From", [])
        found = getaddresses([str(field)[:MAX_FROM] for field in fields])
    except (MessageError, ValueError, LookupError, AttributeError, RecursionError):
        return []
    return [address.lower() for _, address in found if "@" in address]


def verdict(hop: Hop, senders: list[str]) -> str:
    """`auth=pass smtp.auth=…; dmarc=pass header.from=…`: who logged in, and whether From is his."""
    sender = senders[0] if len(senders) == 1 else ""
    domain = _UNSAFE.sub("", sender.partition("@")[2]) or "unknown"
    if hop.login and sender == hop.login.lower():
        dmarc = "pass"
    elif hop.login or domain in hop.home:
        dmarc = "fail"  # somebody else's name, or one of ours without a login
    else:
        dmarc = "none"
    auth = f"auth=pass smtp.auth={_UNSAFE.sub('', hop.login)}; " if hop.login else ""
    return f"{auth}dmarc={dmarc} header.from={domain}"


def stamped(raw: bytes, hop: Hop) -> bytes:
    """The mail as the server puts it into a mailbox."""
    head, rest = split(raw)
    head = without_own_verdicts(head, hop.host)
    protocol = "ESMTPA" if hop.login else "ESMTP"
    lines = (
        f"Return-Path: <{_line(hop.mail_from)}>",
        f"Delivered-To: {_line(hop.recipient)}",
        f"Authentication-Results: {hop.host}; {verdict(hop, from_addresses(head))}",
        f"Received: from {_UNSAFE.sub('', hop.helo) or 'unknown'} ([{_UNSAFE.sub('', hop.peer)}])",
        f"\tby {hop.host} with {protocol} id {hop.id}",
        f"\tfor <{_line(hop.recipient)}>; {format_datetime(hop.at)}",
    )
    return "".join(f"{line}\r\n" for line in lines).encode() + head + rest


def _line(address: str) -> str:
    """An address that stays within its line."""
    return re.sub(r"[\x00-\x20<>\x7f]", "", address)
