"""Learned ids: the Message-ID that a relay puts in place of ours, where it names it when it takes the mail.

Customers answer to the id that they were sent; without knowing it, their answers would find the ticket only by the
subject. Only relays that are known to replace ids are believed, by the name we connect to: a queue number is no id.
"""

from __future__ import annotations

import re

_SES_HOST = re.compile(r"email-smtp(?:-fips)?\.([a-z]{2}(?:-[a-z]{1,10}){1,3}-\d)\.amazonaws\.com(?:\.cn)?\Z")
#: `250 Ok 010001…-8c9ae21b-…-000000`: Amazon's id, under the domain of the region it was sent from.
_SES_REPLY = re.compile(
    r"250 (?:2\.0\.0 )?Ok ([0-9a-f]{16}-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}-[0-9]{6})\s*\Z", re.I
)
_SES_FIRST_REGION = "us-east-1"  # the only one whose ids do not name it

_MICROSOFT_HOST = re.compile(
    r"(?:[a-z0-9-]{1,63}\.){0,4}(?:office365\.com|outlook\.com|office\.com|partner\.outlook\.cn)\Z"
)
#: `250 2.0.0 OK <SEYPR02MB…@SEYPR02MB….apcprd02.prod.outlook.com> [Hostname=…]`
_MICROSOFT_REPLY = re.compile(r"250 2\.[0-9]\.0 OK (<[!-;=?A-~]{1,200}@[A-Za-z0-9.-]{1,200}>)(?:\s|\Z)", re.I)


def learned_id(reply: str, relay_host: str) -> str:
    """The Message-ID under which the relay sends the mail on, with angle brackets; "" if it does not say.

    `reply`: its words to the final dot, code first. `relay_host`: the name that it is known by in the configuration.
    Amazon SES always replaces ours and answers with its own; Exchange Online names the id that it keeps or gave.
    """
    host = relay_host.lower().rstrip(".")
    line = " ".join(reply[:1000].split())
    if region := _SES_HOST.match(host):
        found = _SES_REPLY.match(line)
        domain = "email" if region[1] == _SES_FIRST_REGION else region[1]
        return f"<{found[1]}@{domain}.amazonses.com>" if found else ""
    if _MICROSOFT_HOST.match(host):
        found = _MICROSOFT_REPLY.match(line)
        return found[1] if found else ""
    return ""
