"""File names of attachments: safe to show and to write, still recognisable."""

from __future__ import annotations

import re
import unicodedata

MAX_NAME = 150  # characters
MAX_NAME_OCTETS = 240  # utf-8; file systems take 255

_EXTENSIONS = {
    "message/rfc822": ".eml",
    "message/global": ".eml",
    "text/plain": ".txt",
    "text/html": ".html",
    "text/calendar": ".ics",
    "text/csv": ".csv",
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/gif": ".gif",
    "image/webp": ".webp",
    "image/tiff": ".tif",
    "image/bmp": ".bmp",
    "image/svg+xml": ".svg",
    "application/pdf": ".pdf",
    "application/zip": ".zip",
    "application/pgp-signature": ".asc",
    "application/pkcs7-signature": ".p7s",
    "application/x-pkcs7-signature": ".p7s",
    "application/pkcs7-mime": ".p7m",
    "application/x-pkcs7-mime": ".p7m",
    "application/pgp-encrypted": ".asc",
    "application/pgp-keys": ".asc",
    "application/ms-tnef": ".dat",
    "application/vnd.ms-tnef": ".dat",
    "application/msword": ".doc",
    "application/vnd.ms-excel": ".xls",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": ".pptx",
    "image/heic": ".heic",
    "text/vcard": ".vcf",
    "text/x-vcard": ".vcf",
    "text/rtf": ".rtf",
    "application/rtf": ".rtf",
    "audio/mpeg": ".mp3",
    "audio/amr": ".amr",
    "audio/wav": ".wav",
    "video/mp4": ".mp4",
}
_MAILS = frozenset({"message/rfc822", "message/global"})
_SPACES = re.compile(r"\s+")
#: Zero-width and bidirectional characters are all of category Cf; variation selectors and fillers are not.
_INVISIBLE = re.compile(r"[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff]")
_FORBIDDEN = re.compile(r'[<>:"|?*]')
_DEVICE = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\.|$)")


def safe(name: str, media_type: str) -> str:
    """A name without path, control, bidi or zero-width characters (NFKC); made up from the type if none is left."""
    if name.isascii() and name.isprintable():
        text = name
    else:
        text = unicodedata.normalize("NFKC", _SPACES.sub(" ", name))
        text = "".join(c for c in text if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))
        text = _INVISIBLE.sub("", text)
    text = text.replace("\\", "/").rstrip("/").rpartition("/")[2]
    text = _FORBIDDEN.sub("_", text).strip().strip(".").strip()
    if _DEVICE.match(text):
        text = "_" + text
    if media_type in _MAILS and text and "." not in text:
        text += ".eml"  # so that a mail program opens it
    return _shorten(text) if text else made_up(media_type)


def made_up(media_type: str) -> str:
    """A name for a part that has none: "image.png", "message.eml"."""
    main = media_type.partition("/")[0]
    stem = {"image": "image", "message": "message", "audio": "audio", "video": "video"}.get(main, "attachment")
    return stem + _EXTENSIONS.get(media_type, ".bin")


def _shorten(name: str) -> str:
    """At most MAX_NAME characters and MAX_NAME_OCTETS octets, the extension kept."""
    if len(name) <= MAX_NAME and len(name.encode("utf-8")) <= MAX_NAME_OCTETS:
        return name
    stem, dot, extension = name.rpartition(".")
    if not dot or len(extension) > 10:
        stem, extension = name, ""
    else:
        extension = "." + extension
    stem = stem[: MAX_NAME - len(extension)]
    while len((stem + extension).encode("utf-8")) > MAX_NAME_OCTETS:
        stem = stem[:-1]
    return stem.rstrip() + extension
