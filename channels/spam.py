"""Spam: what the provider's own filter thought, in the header fields in which filters say it.

Evidence, never proof: anybody may write such a field, so that it can only keep automatic mail from leaving. A field
that says "no spam" says nothing here.
Sources: SpamAssassin (Mail::SpamAssassin::Conf), Rspamd (milter_headers), Microsoft ("Anti-spam message headers in
Microsoft 365"), Barracuda, Proofpoint, Google Workspace, SpamExperts, Sophos.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from channels.headers import Headers, text

MAX_SAID = 200  # characters
JUNK_LEVEL = 5  # of Microsoft's spam confidence level, which goes from -1 to 9

_SCL = re.compile(r"(?:^|[;\s])SCL:(-?\d{1,2})(?:;|$)", re.I)
#: Spam by its content, by a rule, by a blocked sender; phishing, impersonation, malware. Bulk mail is no spam.
_FOREFRONT = re.compile(
    r"(?:^|[;\s])(?:SFV:(?:SPM|SKS|SKB|BLK)|CAT:(?:H?SPM|H?PHI?SH|MALW|SPOOF|UIMP|DIMP|GIMP))(?:;|$)", re.I
)
_YES = re.compile(r"(?:yes|true|1)\b", re.I)


def _yes(value: str) -> bool:
    return bool(_YES.match(value))


def _level(value: str) -> bool:
    return value.lstrip("-").isdigit() and int(value[:4]) >= JUNK_LEVEL


def _forefront(value: str) -> bool:
    level = _SCL.search(value)
    return bool(_FOREFRONT.search(value)) or (level is not None and int(level[1]) >= JUNK_LEVEL)


def _action(value: str) -> bool:
    return value.lower().startswith(("add header", "rewrite subject", "reject", "quarantine"))


def _proofpoint(value: str) -> bool:
    return bool(re.match(r"rule=(?:[a-z]{1,20}_)?(?:spam|phish)(?:_\w{0,40})?\b", value, re.I))


def _class(value: str) -> bool:
    return value.lower().startswith(("spam", "phish", "junk", "unsure-spam"))


_FIELDS: tuple[tuple[bytes, Callable[[str], bool]], ...] = (
    (b"x-spam-flag", _yes),
    (b"x-spam-status", _yes),
    (b"x-spam", _yes),
    (b"x-spam-action", _action),
    (b"x-rspamd-action", _action),
    (b"x-spamd-result", lambda value: value.lower().startswith("default: true")),
    (b"x-ms-exchange-organization-scl", _level),
    (b"x-forefront-antispam-report", _forefront),
    (b"x-barracuda-spam-flag", _yes),
    (b"x-barracuda-spam-status", _yes),
    (b"x-proofpoint-spam-details", _proofpoint),
    (b"x-gm-spam", _yes),
    (b"x-gm-phishy", _yes),
    (b"x-spamexperts-class", _class),
    (b"x-spampanel-class", _class),
    (b"x-pmx-spam", lambda value: "gauge=xxxxx" in value.lower()),
    (b"x-bogosity", lambda value: value.lower().startswith(("spam", "yes"))),
    (b"x-dspam-result", _class),
)


def verdict(headers: Headers) -> str:
    """The first field that calls it spam, as it says so; "" where none does."""
    for name, is_spam in _FIELDS:
        for value in map(text, headers.all(name)[:5]):
            if is_spam(value.strip()):
                return value.strip()[:MAX_SAID] if name.startswith(b"x-spam") else _named(name, value)
    return ""


def _named(name: bytes, value: str) -> str:
    return f"{name.decode('ascii')}: {value.strip()}"[:MAX_SAID]
