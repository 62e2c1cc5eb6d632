"""What others say of the mails of the shared corpora, each set's own expectations first, and how far we say the same.

`python tests/support/oracles.py` prints the table of docs/agreement.md; with the name of a set, its differences.
"""

from __future__ import annotations

import email
import json
import re
import sys
import xml.etree.ElementTree as Xml
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from email import policy
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from channels import mime, parts
from channels.message import Message, Role

CORPORA = Path(__file__).resolve().parents[3] / "shared" / "corpora"

#: What is compared. A reader of expectations leaves out what its set does not tell.
FIELDS = ("sender", "recipients", "subject", "message_id", "date", "files", "text", "html", "leaves")
Facts = dict[str, Any]
Case = tuple[str, bytes, Facts]


def squeezed(text: str) -> str:
    """Without what readers differ in and nobody sees: blank space, byte order marks, NUL."""
    return " ".join(text.replace("\x00", "").replace("\ufeff", "").split())


def ours(raw: bytes, message: Message) -> Facts:
    tree = parts.cut(raw)
    return {
        "sender": message.sender.value,
        "recipients": [r.address.value for r in message.recipients if r.role in (Role.TO, Role.CC)],
        "subject": squeezed(message.subject),
        "message_id": message.message_id.strip("<>"),
        "date": message.date_header,
        "files": [(a.name, a.size) for a in message.attachments],
        "text": squeezed(message.text_full),
        "html": squeezed(message.html),
        "leaves": [_leaf(p.media_type, tree.payload(p)) for p in tree.parts],
    }


def differing(expected: Facts, found: Facts) -> list[str]:
    """The fields that are told differently."""
    return [name for name in expected if not _agree(name, expected[name], found[name])]


def _agree(name: str, expected: Any, found: Any) -> bool:
    if name != "files":
        return bool(expected == found)
    # A name that is not told is made up by us; characters that no file name may have are replaced by us.
    return len(expected) == len(found) and all(
        (not theirs[0] or _plain_name(theirs[0]) == _plain_name(mine[0])) and theirs[1] in (None, mine[1])
        for theirs, mine in zip(expected, found, strict=True)
    )


def _plain_name(name: str) -> str:
    import unicodedata

    name = unicodedata.normalize("NFKC", name).replace("\\", "/").rpartition("/")[2]
    return re.sub(r'[<>:"|?*_\s\x00]+', "_", name).strip("._ ").lower()


def _leaf(media_type: str, octets: bytes) -> str:
    if media_type.startswith("message/"):
        return "message"
    return squeezed(octets.decode("latin-1")) if media_type.startswith("text/") else octets.hex()


# --- stalwart: a JSON beside each mail --------------------------------------------------------------------------


def stalwart() -> Iterator[Case]:
    for path in sorted((CORPORA / "stalwart-mail-parser" / "resources" / "eml").rglob("*.eml")):
        raw = path.read_bytes()
        name = f"{path.parent.name}/{path.stem}"
        with_lf = raw.replace(b"\r\n", b"\n")  # as its own tests do before they compare
        with_crlf = with_lf.replace(b"\n", b"\r\n")
        yield name, with_lf, _stalwart(json.loads(path.with_suffix(".json").read_text(encoding="utf-8")))
        other = path.with_suffix(".crlf.json")
        if other.is_file():
            yield f"{name} CRLF", with_crlf, _stalwart(json.loads(other.read_text(encoding="utf-8")))


def _stalwart(told: Facts) -> Facts:
    leaves = told["parts"]
    values: dict[str, Any] = {}
    for header in leaves[0]["headers"]:
        if isinstance(header["name"], str) and header["name"] not in ("from", "to", "cc"):
            values[header["name"]] = header["value"]  # of doubled ones the last
        elif isinstance(header["name"], str):
            values.setdefault(header["name"], []).extend(_stalwart_addresses(header["value"]))
    facts: Facts = {
        "sender": (values.get("from") or [""])[0],
        "recipients": [*values.get("to", []), *values.get("cc", [])],
        "subject": squeezed(_text_of(values.get("subject"))),
        "message_id": _text_of(values.get("message_id")),
        "date": _stalwart_date(values.get("date")),
        "files": [_stalwart_file(leaves[n]) for n in told["attachments"]],
    }
    words = [leaves[n]["body"].get("Text") for n in told["text_body"]]
    pages = [leaves[n]["body"].get("Html") for n in told["html_body"]]
    if all(word is not None for word in words):
        facts["text"] = squeezed("\n".join(words))
    if pages and all(page is not None for page in pages):
        facts["html"] = squeezed("\n".join(pages))
    return facts


def _text_of(value: Any) -> str:
    if not isinstance(value, dict):
        return ""
    if "Text" in value:
        return str(value["Text"])
    return str((value.get("TextList") or [""])[0])


def _stalwart_addresses(value: Any) -> list[str]:
    if not isinstance(value, dict):
        return []
    told = value["Address"]
    many = told["List"] if "List" in told else [one for group in told["Group"] for one in group["addresses"]]
    return [str(one["address"]).lower() for one in many if one["address"] and "@" in one["address"]]


def _stalwart_date(value: Any) -> datetime | None:
    if not isinstance(value, dict) or "DateTime" not in value:
        return None
    d = value["DateTime"]
    offset = timedelta(hours=d["tz_hour"], minutes=d["tz_minute"]) * (-1 if d["tz_before_gmt"] else 1)
    try:
        at = datetime(
            d["year"], d["month"], d["day"], d["hour"], d["minute"], min(d["second"], 59), tzinfo=timezone(offset)
        )
    except ValueError:
        return None
    return at.astimezone(UTC)


def _stalwart_file(leaf: Facts) -> tuple[str, int | None]:
    name = ""
    for header in leaf["headers"]:
        if header["name"] in ("content_type", "content_disposition") and "ContentType" in (header["value"] or {}):
            for one in header["value"]["ContentType"]["attributes"] or []:
                if one["name"] in ("name", "filename"):
                    name = one["value"] or name
    body = leaf["body"]
    octets = body.get("Binary") or body.get("InlineBinary")
    return name, len(octets) if octets is not None else None


# --- mime4j: an XML tree beside each mail, and a file for each leaf ------------------------------------------------


def mime4j() -> Iterator[Case]:
    for path in sorted((CORPORA / "apache-mime4j" / "core").rglob("*.msg")):
        tree = path.with_name(path.stem + "_decoded.xml")
        if tree.is_file():
            yield path.stem, path.read_bytes(), _mime4j(tree)


def _mime4j(path: Path) -> Facts:
    # The readers that wrote these trees put NUL and the like into them, which XML cannot hold.
    text = re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]", "", path.read_text(encoding="utf-8", errors="replace"))
    root = Xml.fromstring(text)
    header = root.find("header")
    fields = [] if header is None else [(f.text or "").strip() for f in header.findall("field")]
    values: dict[str, str] = {}
    for one in fields:
        name, _, value = one.partition(":")
        values.setdefault(name.strip().lower(), re.sub(r"\r?\n(?=[ \t])", "", value).strip())
    facts: Facts = {"leaves": list(_mime4j_leaves(root, path.parent))}
    if values.get("message-id", "").startswith("<"):
        facts["message_id"] = values["message-id"].strip().strip("<>")
    if "subject" in values and "=?" not in values["subject"]:
        facts["subject"] = squeezed(values["subject"])
    return facts


def _mime4j_leaves(node: Xml.Element, folder: Path) -> Iterator[str]:
    """The contents of each leaf outside of attached mails, in order."""
    for child in node:
        if child.tag in ("body-part", "multipart"):
            yield from _mime4j_leaves(child, folder)
        elif child.tag == "message":
            yield "message"
        elif child.tag in ("text-body", "binary-body"):
            octets = (folder / child.attrib["name"]).read_bytes()
            yield _leaf("text/plain" if child.tag == "text-body" else "application/octet-stream", octets)


# --- the sets without expectations: the standard library's reader ---------------------------------------------------


def stdlib(folder: str, pattern: str) -> Callable[[], Iterator[Case]]:
    def cases() -> Iterator[Case]:
        for path in sorted((CORPORA / folder).rglob(pattern)):
            raw = path.read_bytes()
            if path.is_file() and (facts := _stdlib(raw)) is not None:
                yield path.name, raw, facts

    return cases


def _stdlib(raw: bytes) -> Facts | None:
    """What email.policy.default makes of it; a field it cannot read is left out."""
    mail = email.message_from_bytes(raw, policy=policy.default)
    facts: Facts = {}
    for name, read in _STDLIB.items():
        try:
            facts[name] = read(mail)
        except Exception:  # it raises many things; then it is no oracle
            continue
    return facts


def _stdlib_people(mail: Any, *names: str) -> list[str]:
    found = []
    for name in names:
        for header in mail.get_all(name, []):
            found += [a.addr_spec.lower() for a in header.addresses if "@" in a.addr_spec]
    return found


def _stdlib_date(mail: Any) -> datetime | None:
    value = mail.get("date")
    if value is None:
        return None
    at = parsedate_to_datetime(str(value))
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)


def _stdlib_leaves(mail: Any) -> Iterator[Any]:
    if mail.is_multipart() and mail.get_content_maintype() == "multipart":
        for part in mail.get_payload():
            yield from _stdlib_leaves(part)
    else:
        yield mail


def _is_file(part: Any) -> bool:
    named = part.get_filename()
    if part.get_content_disposition() == "attachment" or named:
        return True
    return part.get_content_maintype() != "text"


def _stdlib_files(mail: Any) -> list[tuple[str, int | None]]:
    reports = ("message/delivery-status", "message/feedback-report")
    found = []
    for part in _stdlib_leaves(mail):
        if not _is_file(part) or part.get_content_type() in reports:
            continue
        payload = None if part.is_multipart() else part.get_payload(decode=True)
        found.append((part.get_filename() or "", None if payload is None else len(payload)))
    return found


def _stdlib_text(mail: Any) -> str:
    texts = [p for p in _stdlib_leaves(mail) if p.get_content_maintype() == "text" and not _is_file(p)]
    if not texts or any(p.get_content_subtype() != "plain" for p in texts):
        raise LookupError("no plain text alone: the words would be our own reading of HTML")
    if any(p.get_param("format") == "flowed" for p in texts):
        raise LookupError("it does not join flowed lines")
    return squeezed("\n".join(p.get_content() for p in texts))


_STDLIB: dict[str, Callable[[Any], Any]] = {
    "sender": lambda mail: (_stdlib_people(mail, "from") or [""])[0],
    "recipients": lambda mail: _stdlib_people(mail, "to", "cc"),
    "subject": lambda mail: squeezed(str(mail.get("subject", ""))),
    "message_id": lambda mail: str(mail.get("message-id", "")).strip().strip("<>"),
    "date": _stdlib_date,
    "files": _stdlib_files,
    "text": _stdlib_text,
}


# --- ours, with the author's own expectations ------------------------------------------------------------------------


def synthetic() -> Iterator[Case]:
    folder = CORPORA / "synthetic-zh"
    for case in json.loads((folder / "expected.json").read_text(encoding="utf-8")):
        facts = {}
        if "subject" in case:
            facts["subject"] = squeezed(case["subject"])
        if "from_addr" in case:
            facts["sender"] = case["from_addr"]
        if "body" in case:
            facts["text"] = squeezed(case["body"])
        if "attachments" in case:
            facts["files"] = [(name, None) for name in case["attachments"]]
        yield case["file"], (folder / case["file"]).read_bytes(), facts


SETS: dict[str, tuple[str, Callable[[], Iterator[Case]]]] = {
    "stalwart-mail-parser": ("its JSON files", stalwart),
    "apache-mime4j": ("its XML trees and decoded leaves", mime4j),
    "synthetic-zh": ("expected.json", synthetic),
    "mikel-mail": ("the standard library's reader", stdlib("mikel-mail", "*.eml")),
    "webklex-php-imap": ("the standard library's reader", stdlib("webklex-php-imap", "*.eml")),
    "cpython-test_email": ("the standard library's reader", stdlib("cpython-test_email", "msg_*.txt")),
    "chatwoot": ("the standard library's reader", stdlib("chatwoot", "*.eml")),
}


def agreement(name: str) -> tuple[Counter[str], Counter[str], dict[str, list[str]]]:
    """For a set: how often each field was told, how often we said the same, and where we did not (by mail)."""
    told: Counter[str] = Counter()
    same: Counter[str] = Counter()
    differences: dict[str, list[str]] = {}
    for label, raw, expected in SETS[name][1]():
        wrong = differing(expected, ours(raw, mime.parse(raw)))
        told.update(list(expected))
        same.update(set(expected) - set(wrong))
        if wrong:
            differences[label] = wrong
    return told, same, differences


def _show(name: str) -> None:
    for label, raw, expected in SETS[name][1]():
        found = ours(raw, mime.parse(raw))
        for field in differing(expected, found):
            print(f"{label}: {field}\n   theirs {str(expected[field])[:600]}\n   ours   {str(found[field])[:600]}")


def table() -> Iterator[str]:
    """The table of docs/agreement.md: same / told for each set and field."""
    yield "| set | oracle | " + " | ".join(name.replace("_", "-") for name in FIELDS) + " |"
    yield "|---|---|" + "---|" * len(FIELDS)
    for name, (oracle, _) in SETS.items():
        told, same, _ = agreement(name)
        cells = [f"{same[f]}/{told[f]}" if told[f] else "" for f in FIELDS]
        yield f"| {name} | {oracle} | " + " | ".join(cells) + " |"


if __name__ == "__main__":
    if sys.argv[1:]:
        _show(sys.argv[1])
    else:
        print("\n".join(table()))
