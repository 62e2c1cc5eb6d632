"""Words of absence: does what an agent's mailbox sent read like a note that he is away, though no header says so?

Some programs write such notes without any mark. Where the words alone say it, nobody can be certain: the mail is held,
and its author asked. A note says that somebody is away, near its beginning, and when he is back or who stands in.
"""

from __future__ import annotations

import re

from routing.folding import fold

MAX_NOTE = 500  # characters: longer words are a letter
MAX_BEFORE = 80  # characters of greeting and thanks before it is said

_AWAY = re.compile(
    r"(?:休假|請假|请假|年假|病假|產假|产假|婚假|度假|出差|外出)(?:中|期間|期间|，|,|。|\s|至|到|,|、|無法|无法|不克)"
    r"|不在(?:辦公室|办公室|公司|座位)|暫時(?:離開|不在)|暂时(?:离开|不在)|(?:正在|目前)(?:休假|請假|请假|出差|外出|度假)"
    r"|自動回[覆復]|自动回[复覆]|自動答覆|自动答复"
    r"|\b(?:out of (?:the )?office|away from (?:the|my) (?:office|desk)|on (?:\w+ )?leave|on vacation|on holiday"
    r"|away (?:on business|until|from \w+ \d)|travell?ing (?:on business|until)|limited access to (?:my )?e-?mail)\b"
)
_MORE = re.compile(
    r"將於|将于|回來|回来|返回|收假|銷假|销假|恢復上班|恢复上班|恢復工作|急事|緊急|紧急|代理人|職務代理|职务代理"
    r"|請(?:聯絡|聯繫|洽|撥打|與)|请(?:联系|联络|洽|拨打|与)|盡快回|尽快回|稍後回|稍后回|無法(?:及時|即時|立即)|无法(?:及时|即时|立即)"
    r"|自動|自动"
    r"|\b(?:return(?:ing)?|be back|back (?:on|in)|urgent|in my absence|please contact|reply (?:when|upon|on))\b"
)


def read_like_absence(words: str) -> bool:
    """Whether these words alone read like a note of absence. Linear."""
    if len(words) > MAX_NOTE:
        return False
    plain = " ".join(fold(words).split())
    away = _AWAY.search(plain)
    return away is not None and away.start() <= MAX_BEFORE and _MORE.search(plain) is not None
