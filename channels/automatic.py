"""Automatic mail: which signs say that no person wrote this message to us.

RFC 3834 first, then what programs of the world do instead. A sign is recorded, never a reason to drop.
"""

from __future__ import annotations

import re

from channels.headers import Headers, text

_REPLIED = "auto-replied"
_GENERATED = "auto-generated"
#: Headers that only vacation programs write.
_RESPONDER_HEADERS = (b"x-autoreply", b"x-autorespond", b"x-autoresponder", b"x-auto-reply", b"x-mail-autoreply")
_PRECEDENCE = {b"bulk": "bulk", b"list": "list", b"junk": "junk", b"auto_reply": _REPLIED}
#: The subject begins with these words and then ends, or goes on after a mark: people may write *about* them.
_AWAY = re.compile(
    r"\W{0,3}(?:(?:来自|來自).{1,60}的)?(?:休假|假期|外出|离线|離線|邮件|郵件)?"
    r"(?:自动回复|自动答复|自動回覆|自動回復|自動答覆|自動返信|不在办公室|不在辦公室|外出中|休假中"
    r"|automatic reply|automatic response|auto(?:matic)?[ -]?repl(?:y|ied)|auto[ -]?response|auto(?=:)"
    r"|out of (?:the )?office(?: auto[ -]?reply| reply| notification| message)?|ooo"
    r"|abwesenheitsnotiz|automatische antwort|réponse automatique|respuesta automática"
    r"|vacation reply"
    r"|i(?:'|’)?m (?:out of|away from) (?:the )?office)"
    r"\s*(?:$|[:：\])】）,，!！-]|re[:：])",
    re.I,
)
_AWAY_TEXT = re.compile(r"\s*这是来自.{1,20}(?:假期)?自动回复邮件")
_NO_REPLY = re.compile(r"(?:no|do[-_.]?not)[-_.]?reply|noreply|mailer-daemon|postmaster|bounces?[-+@]", re.I)


def why(headers: Headers, root_type: str, report_type: str, sender: str, subject: str, words: str) -> str:
    """How a mail came to be: "auto-replied", "auto-generated", "list", "bulk", "junk"; "" if by a person."""
    declared = text(headers.first(b"auto-submitted")).partition(";")[0].partition(" ")[0].strip().lower()
    if declared and declared != "no":
        return declared[:60]  # RFC 3834 §5: any other keyword counts as well
    if _AWAY.match(subject) or _AWAY_TEXT.match(words) or any(map(headers.has, _RESPONDER_HEADERS)):
        return _REPLIED
    if root_type == "multipart/report":
        return _REPLIED if report_type == "disposition-notification" else _GENERATED
    if headers.has(b"list-id"):
        return "list"
    if found := _PRECEDENCE.get(headers.first(b"precedence").lower()):
        return found
    if is_null_path(headers):
        return _GENERATED
    # Exchange writes it into ordinary mail too: it counts only together with a sender that is a machine.
    if headers.has(b"x-auto-response-suppress") and _NO_REPLY.match(sender):
        return _GENERATED
    return ""


def is_null_path(headers: Headers) -> bool:
    """True if the mail came with the empty return path of reports (RFC 5321 §4.5.5)."""
    return headers.first(b"return-path").replace(b" ", b"") == b"<>"
