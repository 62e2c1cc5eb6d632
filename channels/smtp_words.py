"""What a relay's refusal is about: the mail, or us.

Most 4xx and 5xx are about one mail or one recipient (RFC 5321 §4.2.1). Some are not, whatever their number: the account
is too fast, or it may not send at all. Then every mail behind it would be refused as well, and none of them deserves
it. A table, since no number tells the two apart: Microsoft says 5.2.0 to a sender's quota and to a recipient's.
"""

from __future__ import annotations

import re
from enum import StrEnum

MAX_WORDS = 1000  # characters of a reply that are read


class About(StrEnum):
    """Whom a refusal is about."""

    MAIL = "mail"  # this one mail, or its recipient
    PACE = "pace"  # we are too fast
    ACCOUNT = "account"  # we may not send, at all or for today


#: These words are about the other end, however much else is said: the first that is found decides.
_THEIRS = (
    "receiving mail too quickly",  # Google 450 4.2.1: the recipient's mailbox
    "receiving mail at a rate",
    "tried to reach",  # "the account that you tried to reach is over quota"
    "unverified address",  # Postfix, of an address that it asked the other end about
    " said:",  # another server's words, which must not stop us
    "greylist",
    "graylist",
    "greylisted",
)

#: Words (lower case) -> what the refusal is about. The first that is found counts.
_WORDS: tuple[tuple[str, About], ...] = (
    # Microsoft 365
    ("sendasdenied", About.ACCOUNT),  # 554 5.2.0 STOREDRV.Submission.Exception:SendAsDeniedException
    ("submissionquotaexceeded", About.ACCOUNT),
    ("storedrv.submission.exception:quotaexceeded", About.ACCOUNT),  # 554 5.2.2: our mailbox, not theirs
    ("bad outbound sender", About.ACCOUNT),  # 550 5.1.8
    ("exceeded the recipient rate limit", About.ACCOUNT),
    ("tenant has exceeded threshold", About.ACCOUNT),  # 550 5.7.705
    ("smtpclientauthentication is disabled", About.ACCOUNT),  # 535 5.7.139
    ("client not authenticated", About.ACCOUNT),  # 530 5.7.57
    ("does not have permissions to send as", About.ACCOUNT),  # 5.7.60
    ("concurrent connection", About.PACE),  # 432 4.3.2
    ("sender thread limit exceeded", About.PACE),
    ("server busy", About.PACE),  # 451 4.7.500, 421 4.4.5
    # Google
    ("daily user sending", About.ACCOUNT),  # 550 5.4.5
    ("daily sending quota", About.ACCOUNT),
    ("daily smtp relay", About.ACCOUNT),  # 550 5.7.0 … limit exceeded for customer
    ("peak smtp relay limit", About.PACE),  # 450 4.2.1
    ("too many login attempts", About.PACE),  # 454 4.7.0
    ("unusual rate of", About.PACE),  # 421 4.7.28
    # NetEase: two letters, a colon, three letters
    ("mi:spb", About.ACCOUNT),  # not on the list of those who may send
    ("mi:sfq", About.PACE),  # too many within a quarter of an hour
    ("mi:dmc", About.PACE),  # too many over one connection
    ("mi:cel", About.PACE),
    ("mi:ccl", About.PACE),
    ("rp:qrc", About.PACE),
    ("rp:trc", About.PACE),
    ("rp:drc", About.PACE),
    ("hl:icc", About.PACE),  # too many connections
    ("hl:ifc", About.PACE),
    ("dt:spm", About.PACE),  # what is sent in numbers is called spam: later, it is taken
    # Tencent
    ("frequency limited", About.PACE),
    ("must be same as authorization user", About.ACCOUNT),  # 501, 553
    ("mail from must equal authorized user", About.ACCOUNT),
    # anybody
    ("sending quota exceeded", About.ACCOUNT),
    ("sending limit exceeded", About.ACCOUNT),
    ("sending limit reached", About.ACCOUNT),
    ("sender quota exceeded", About.ACCOUNT),
    ("account suspended", About.ACCOUNT),
    ("account has been suspended", About.ACCOUNT),
    ("sender is blocked", About.ACCOUNT),
    ("sender address rejected: not owned by user", About.ACCOUNT),  # Postfix 553 5.7.1
    ("throttl", About.PACE),
    ("rate limit", About.PACE),
    ("ratelimit", About.PACE),
    ("too many connections", About.PACE),
    ("too many messages", About.PACE),
    ("too many mails", About.PACE),
    ("too many recipients", About.PACE),  # we name one at a time: so many in a stretch
    ("too much mail", About.PACE),
    ("too fast", About.PACE),
    ("too frequent", About.PACE),
    ("slow down", About.PACE),
    ("频率", About.PACE),
    ("頻率", About.PACE),
    ("频繁", About.PACE),
    ("頻繁", About.PACE),
)

#: Enhanced status codes (RFC 3463) that say it without words.
_CODES = {
    "5.1.8": About.ACCOUNT,
    "5.7.705": About.ACCOUNT,
    "5.7.708": About.ACCOUNT,
    "5.7.750": About.ACCOUNT,
    "4.7.28": About.PACE,
    "4.7.500": About.PACE,
    "4.5.3": About.PACE,
}
_ADDRESS = re.compile(r"<[^<>]*>|[^\s@]*@[^\s@]*")
_ENHANCED = re.compile(r"(?<![\d.])[245]\.\d{1,3}\.\d{1,3}(?![\d.])")


def about(words: str) -> About:
    """What a refusal (its text, with or without the number) is about; the mail, where nothing else is said."""
    # An address is repeated in many a refusal, and whoever writes to us chooses his own.
    folded = " ".join(_ADDRESS.sub(" ", words[:MAX_WORDS].lower()).split())
    if any(theirs in folded for theirs in _THEIRS):
        return About.MAIL
    found = next((meaning for one, meaning in _WORDS if one in folded), None)
    if found is not None:
        return found
    code = _ENHANCED.search(folded)
    return _CODES.get(code.group(), About.MAIL) if code else About.MAIL
