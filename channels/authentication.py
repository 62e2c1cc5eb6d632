"""Authentication-Results: what a server says about where a mail came from (RFC 8601).

Who wrote the line, and whether it stands where only our border server can write, is not known here.
"""

from __future__ import annotations

import re

from channels.message import Verdict

MAX_LINES = 50  # Authentication-Results headers of one mail
MAX_RESULTS = 30  # verdicts of one header

_TOKEN = re.compile(r'"((?:[^"\\]|\\.)*)"|([();])|([^"();]+)|(.)', re.S)
_RESULT = re.compile(r"\s*([a-z0-9-]{1,40})\s*(?:/\s*\d+\s*)?=\s*([a-z]{1,40})", re.I)
_PROPERTY = re.compile(r"\b(smtp|header|policy|body)\s*\.\s*([a-z0-9_-]{1,40})\s*=\s*(\S+)", re.I)
_DOMAIN_OF = {
    "dmarc": ("header.from",),
    "dkim": ("header.d", "header.i"),
    "spf": ("smtp.mailfrom", "smtp.mail", "smtp.helo"),
    "auth": ("smtp.auth", "smtp.mailfrom"),
    "arc": ("header.d",),
}


def verdicts(line: str) -> tuple[Verdict, ...]:
    """The verdicts of one header value, in its order; none if it cannot be told where they end."""
    pieces = _pieces(line)
    if not pieces or not pieces[0].strip():
        return ()
    by = pieces[0].split()[0].lower()  # RFC 8601 §2.2: a version may follow the authserv-id
    found = []
    for piece in pieces[1 : MAX_RESULTS + 1]:
        result = _RESULT.match(piece)
        if result is None:
            continue
        method = result[1].lower()
        properties: dict[str, str] = {}
        for kind, name, value in _PROPERTY.findall(piece):
            properties.setdefault(f"{kind}.{name}".lower(), value.lower())
        found.append(Verdict(by=by, method=method, result=result[2].lower(), domain=_domain(method, properties)))
    return tuple(found)


def _domain(method: str, properties: dict[str, str]) -> str:
    value = next((properties[name] for name in _DOMAIN_OF.get(method, ()) if name in properties), "")
    return value if method == "auth" else value.rpartition("@")[2]


def _pieces(line: str) -> list[str]:
    """A value cut at its semicolons, without comments; an open quote or comment ends it."""
    pieces = [""]
    depth = 0
    for token in _TOKEN.finditer(line):
        quoted, mark, plain, broken = token.groups()
        if broken is not None:
            break
        if mark == "(" or mark == ")":
            depth = max(0, depth + (1 if mark == "(" else -1))
            pieces[-1] += " "
        elif depth:
            continue
        elif mark == ";":
            pieces.append("")
        else:
            pieces[-1] += plain if quoted is None else quoted.replace(" ", "")
    return pieces
