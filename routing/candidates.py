"""Candidates: what is said of each who was looked at for a ticket, and why he was taken or was not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from routing.assignment import Candidate

#: why he could not take it, else how he compares -> (English, zh-Hant, zh-Hans)
SENTENCES: Mapping[str, tuple[str, str, str]] = {
    "": ("{agent} could take it.", "{agent} 可以接。", "{agent} 可以接。"),
    "taken": ("{agent} was taken{busy}.", "選了 {agent}{busy}。", "选了 {agent}{busy}。"),
    "later": (
        "{agent} could take it, but would begin later{busy}.",
        "{agent} 可以接，但要晚一點才有空{busy}。",
        "{agent} 可以接，但要晚一点才有空{busy}。",
    ),
    "fairness": (
        "{agent} could take it as soon; it was another's turn.",
        "{agent} 也一樣快，這次輪到別人。",
        "{agent} 也一样快，这次轮到别人。",
    ),
    "not_own": (
        "{agent} would be as soon or sooner, but is not the customer's own agent.",
        "{agent} 可能更快，但不是這位客戶的專員。",
        "{agent} 可能更快，但不是这位客户的坐席。",
    ),
    "excluded": ("{agent} is excluded.", "{agent} 要迴避。", "{agent} 要回避。"),
    "had_it": (
        "{agent} had it before: it never goes back.",
        "之前由 {agent} 處理，不再派回去。",
        "之前由 {agent} 处理，不再派回去。",
    ),
    "not_in_team": ("{agent} is of another team.", "{agent} 是別組的。", "{agent} 是别组的。"),
    "certificate": ("{agent} has not the certificate for it.", "{agent} 沒有這項資格。", "{agent} 没有这项资格。"),
    "expired": ("{agent}'s certificate has expired.", "{agent} 的資格已過期。", "{agent} 的资格已过期。"),
    "language": (
        "{agent} does not speak the language.",
        "{agent} 不會這個語言。",
        "{agent} 不会这个语言。",
    ),
    "topic": ("{agent} does not know the topic.", "{agent} 不熟這個主題。", "{agent} 不熟这个主题。"),
    "off_duty": ("{agent} is off duty.", "{agent} 現在不上班。", "{agent} 现在不上班。"),
    "leaves_soon": (
        "{agent} goes off duty too soon{busy}.",
        "{agent} 快下班了，來不及{busy}。",
        "{agent} 快下班了，来不及{busy}。",
    ),
    "full": ("{agent} has enough to do.", "{agent} 手上已滿。", "{agent} 手上已满。"),
    "silent": (
        "{agent} has shown no sign of life since the last work given.",
        "{agent} 從上次派件後一直沒有動靜。",
        "{agent} 从上次派件后一直没有动静。",
    ),
    "unseen": (
        "{agent} has not been heard of for a while, and this is in a hurry.",
        "{agent} 有一陣子沒有動靜，而這件很急。",
        "{agent} 有一阵子没有动静，而这件很急。",
    ),
    "busy": (
        "{agent} is busy{busy}: it waits in the queue.",
        "{agent} 正在忙{busy}，先排隊。",
        "{agent} 正在忙{busy}，先排队。",
    ),
    "too_late": (
        "{agent} could not make the deadline{busy}.",
        "{agent} 會來不及{busy}。",
        "{agent} 会来不及{busy}。",
    ),
}
_BUSY = (" (about {minutes} minutes of other work)", "（手上還要約 {minutes} 分鐘）", "（手上还要约 {minutes} 分钟）")
_COLUMN = {"en": 0, "zh-Hant": 1, "zh-Hans": 2}


def told(candidate: Sequence[object], language: str = "en") -> str:
    """One candidate as an event keeps him, [agent, why not, why, minutes]; older events have the first two alone."""
    agent, why_not, why, minutes = (*candidate, "", 0)[:4] if len(candidate) < 4 else tuple(candidate)[:4]
    column = _COLUMN.get(language, 0)
    written = SENTENCES.get(str(why_not) or str(why))
    if written is None:
        return f"{agent} {why_not or why}."
    busy = _BUSY[column].format(minutes=minutes) if minutes else ""
    return written[column].format(agent=agent, busy=busy)


def as_data(candidates: Sequence[Candidate]) -> list[list[object]]:
    """Candidates as an event keeps them."""
    return [list(one) for one in candidates]
