"""Where others read a mail of the corpora differently, by class: who is right, and why."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Difference:
    """One class, and the mails it was seen in, by set: "mail: field, field"."""

    why: str
    right: str  # "ours", "theirs", "either"
    seen: dict[str, str]


CLASSES = (
    Difference(
        "Raw octets above 127 without a label, or under one that lies: theirs become U+FFFD, ours are read by a guess",
        "ours",
        {
            "stalwart-mail-parser": "legacy/010: subject; legacy/016: files; legacy/020: subject; legacy/022: subject; "
            "legacy/023: files; legacy/026: files; legacy/027: subject; legacy/033: text; legacy/052: subject, text",
            "mikel-mail": "invalid_subject_characters.eml: subject; raw_email5.eml: text; raw_email6.eml: text; "
            "raw_email8.eml: files; "
            "content_transfer_encoding_plain.eml: text; attachment_with_encoded_name.eml: files; "
            "attachment_pdf_non_ascii.eml: text; attachment_pdf_non_ascii_lf.eml: text; "
            "utf8_headers.eml: sender, recipients",
            "webklex-php-imap": "attachment_long_filename.eml: files",
        },
    ),
    Difference(
        "Octets that are text in no charset: garbage either way",
        "either",
        {
            "stalwart-mail-parser": "thirdparty/002: text",
            "webklex-php-imap": "imap_mime_header_decode_returns_false.eml: subject; "
            "boolean_decoded_content.eml: files",
        },
    ),
    Difference(
        "uuencode within a MIME part: ours are the file's octets, theirs the encoded lines",
        "ours",
        {"stalwart-mail-parser": "legacy/017: files; legacy/048: files"},
    ),
    Difference(
        "A Windows path in a file name: ours is its last step, theirs the whole without its backslashes",
        "ours",
        {"stalwart-mail-parser": "legacy/035: files; legacy/039: files"},
    ),
    Difference(
        "A multipart whose boundary is missing, never comes, or comes among its own headers: theirs is a file (or "
        "nothing), ours words to be read, as they were written",
        "ours",
        {
            "stalwart-mail-parser": "malformed/001: files, text; malformed/002: files, text; malformed/003: files, "
            "text; malformed/004: files, text; malformed/006: files, text; malformed/007: files, text; "
            "malformed/019: date, text",
            "apache-mime4j": "badbound: leaves; missing-boundary: leaves; multipartnopart: leaves; "
            "missing-inner-boundary: leaves; missing-inner-start-boundary: leaves",
            "mikel-mail": "bad_date_header2.eml: files; empty_in_reply_to.eml: files; missing_body.eml: files; "
            "must_supply_encoding.eml: files; raw_email_bad_time.eml: files; "
            "raw_email_with_illegal_boundary.eml: files; raw_email_with_binary_encoded.eml: files",
            "cpython-test_email": "msg_15.txt: files; msg_17.txt: files; msg_25.txt: files; msg_31.txt: files; "
            "msg_41.txt: files",
        },
    ),
    Difference(
        "An inner multipart that is not closed, or whose boundary is that of the outer one or begins like it: we cut "
        "by the outer one first, so that nothing behind it is swallowed; empty parts are no files",
        "ours",
        {
            "stalwart-mail-parser": "malformed/005: text; malformed/008: files, text; malformed/009: files, text; "
            "malformed/011: files, text; malformed/012: files; malformed/016: files, text",
            "cpython-test_email": "msg_37.txt: files; msg_39.txt: files",
            "apache-mime4j": "multi-frag: leaves",
        },
    ),
    Difference(
        "The plain alternative lost its delimiter: theirs shows it with the raw HTML behind, ours the HTML's words",
        "ours",
        {"stalwart-mail-parser": "malformed/020: text; malformed/021: text"},
    ),
    Difference(
        "A closing delimiter glued to the last words: ours keeps the line as it stands",
        "theirs",
        {"stalwart-mail-parser": "thirdparty/005: text"},
    ),
    Difference(
        "An unnamed text part in another form (text/enriched), or a further text part: words for us, a file for them",
        "ours",
        {"stalwart-mail-parser": "rfc/003: files; thirdparty/002: files"},
    ),
    Difference(
        "Attached mails: each is a file for us; theirs lists those at the top",
        "either",
        {"stalwart-mail-parser": "thirdparty/015: files"},
    ),
    Difference(
        "The first text part carries a file name and no disposition of a file: for us it is the mail's words",
        "ours",
        {"cpython-test_email": "msg_04.txt: files; msg_44.txt: files"},
    ),
    Difference(
        "A delimiter line with words behind it: an old specification let it count; today it is taken for text",
        "either",
        {"apache-mime4j": "ending-boundaries: leaves"},
    ),
    Difference(
        "A boundary with a blank at its end, which gateways strip: we let the line count without it",
        "either",
        {"apache-mime4j": "very-long-boundary: leaves; very-very-long-boundary: leaves; weird-boundary: leaves"},
    ),
    Difference(
        "Headers and body are not apart as they should be (no blank line, blanks on it, a stray line among headers, "
        "no header at all): ours finds the headers that are there and loses no words of the body",
        "ours",
        {
            "apache-mime4j": "hdr-fakeout: leaves; basic-plain-with-bad-header-separator: leaves; "
            "malformedHeader-noheader: leaves; malformedHeaderStartsBody-noheader: leaves; "
            "malformedHeaderStartsBody-nocrlfcrlf: leaves",
            "mikel-mail": "raw_email_incorrect_header.eml: sender, recipients, subject, message_id, date, text; "
            "example13.eml: sender, subject, message_id, date, text",
            "webklex-php-imap": "issue-40.eml: sender, recipients, subject, message_id, date, text",
        },
    ),
    Difference(
        "Addresses with blanks in them, or two without a comma: ours takes the word with the at sign (counting both), "
        "theirs quotes the words or takes the first",
        "ours",
        {
            "mikel-mail": "mix_caps_content_type.eml: sender; raw_email_multiple_from.eml: recipients; "
            "raw_email_with_at_display_name.eml: recipients",
            "webklex-php-imap": "issue-462.eml: sender",
        },
    ),
    Difference(
        "A file name without quotes that has blanks, and an id with two at signs: ours are whole",
        "ours",
        {"mikel-mail": "attachment_with_unquoted_name.eml: files; raw_email_double_at_in_header.eml: message_id"},
    ),
)


def known(name: str) -> dict[str, set[str]]:
    """The differences of a set that are explained: fields by mail."""
    found: dict[str, set[str]] = {}
    for one in CLASSES:
        for entry in filter(None, one.seen.get(name, "").split("; ")):
            mail, _, fields = entry.partition(": ")
            found.setdefault(mail, set()).update(fields.split(", "))
    return found


def classes() -> list[str]:
    """The second table of docs/agreement.md."""
    lines = ["| difference | who is right | mails |", "|---|---|---|"]
    for one in CLASSES:
        amounts = ", ".join(f"{name} {len(entries.split('; '))}" for name, entries in one.seen.items())
        lines.append(f"| {one.why} | {one.right} | {amounts} |")
    return lines
