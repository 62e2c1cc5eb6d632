"""By a program: words that a mail program writes in an agent's name: a recall, a reaction.

Outlook's "recall this message", sent to anybody outside its own organisation, is a mail in words; so are the reactions
of Gmail and Outlook, a thumb and who raised it. None of them is an answer: its author is asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from channels.message import Attachment
from routing.folding import fold

MAX_WORDS = 500  # characters: longer words are a letter

_REACTION = "text/vnd.google.email-reaction+json"
_RECALL = re.compile(
    r".{0,80}\b(?:would like to recall|wants to recall|attempted to recall|is recalling)"
    r" (?:the|this|a) (?:message|e-?mail)"
    r"|.{0,40}(?:想要|想|要|將|将|希望|試圖|试图|嘗試|尝试)(?:回收|收回|撤回|召回)(?:此|這封|这封|該|该|以下)?(?:郵件|邮件|電子郵件|电子邮件|訊息|消息|信件)"
)
_REACTED = re.compile(
    r".{0,80}\breacted (?:via gmail|to (?:your|the) (?:message|e-?mail))"
    r"|.{0,40}(?:透過|通过|使用)\s?gmail\s?(?:傳送|发送|做出|作出|表達|表达|回應|回应)"
    r"|.{0,40}(?:對|对)(?:您|你)的(?:郵件|邮件|訊息|消息)(?:按|點|点|表示|做出|作出|回應|回应)"
)


def written_by_program(words: str, files: Iterable[Attachment] = ()) -> bool:
    """Whether these words are what a program says for its user. Linear."""
    if any(file.media_type.lower() == _REACTION for file in files):
        return True
    if len(words) > MAX_WORDS:
        return False
    plain = " ".join(fold(words).split())
    return _RECALL.match(plain) is not None or _REACTED.match(plain) is not None
