"""What Amazon SES reports through SNS by mail: one JSON object (SES Developer Guide, "Notification contents").

It counts only in a mail of SNS. What cannot be read is no report.
"""

from __future__ import annotations

import json
from typing import Any

from channels.headers import Headers, address_within
from channels.message import Bounce, BounceKind

MAX_JSON = 64 * 1024  # characters
MAX_REASON = 500  # characters

#: What SES calls it -> (kind, its object, the list of those it is about)
_KINDS = {
    "Bounce": (BounceKind.FAILED, "bounce", "bouncedRecipients"),
    "Complaint": (BounceKind.COMPLAINT, "complaint", "complainedRecipients"),
    "Delivery": (BounceKind.DELIVERED, "delivery", "recipients"),
    "DeliveryDelay": (BounceKind.DELAYED, "deliveryDelay", "delayedRecipients"),
}


def find(headers: Headers, words: str) -> Bounce | None:
    """The report in a notification; None if it is none."""
    start = words.find("{")
    if not headers.has(b"x-amz-sns-message-id") or not 0 <= start < 200:
        return None
    try:
        # SNS appends a footer; long objects come broken over lines, which JSON's strings do not allow.
        told = _object(words[start : start + MAX_JSON])
        return _bounce(_object(told["Message"]) if "Message" in told else told)
    except (ValueError, TypeError, AttributeError, LookupError, RecursionError):
        return None


def _object(said: str) -> dict[str, Any]:
    told: dict[str, Any] = json.JSONDecoder(strict=False).raw_decode(said)[0]
    return told


def _bounce(told: dict[str, Any]) -> Bounce | None:
    found = _KINDS.get(told.get("notificationType") or told.get("eventType") or "")
    if found is None:
        return None
    kind, name, listed = found
    about = told.get(name) or {}
    first = (about.get(listed) or [""])[0]
    one = first if isinstance(first, dict) else {"emailAddress": first}
    reason = str(one.get("diagnosticCode") or about.get("complaintFeedbackType") or about.get("bounceSubType") or "")
    return Bounce(
        kind=kind,
        recipient=address_within(str(one.get("emailAddress") or "")),
        status=str(one.get("status") or "")[:20],
        reason=" ".join(reason.split())[:MAX_REASON],
        original_message_id=_original_id(told.get("mail") or {}),
    )


def _original_id(mail: dict[str, Any]) -> str:
    """Ours where SES kept the headers; else the one that it put for ours."""
    common = (mail.get("commonHeaders") or {}).get("messageId")
    for one in mail.get("headers") or ():
        if str(one.get("name", "")).lower() == "message-id":
            common = one.get("value")
    value = str(common or "")
    return value[:500] if value.startswith("<") and value.endswith(">") else ""
