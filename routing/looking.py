"""Looking: an agent asks to be shown something. What he may see of it is decided here; it is written when it leaves.

A ticket is shown to who has it, to his team and to its supervisors. To anybody else it is not there: he is not told
whether such a ticket exists.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from routing.deed import WORDS_UNUSED, Act
from routing.desk import Desk, Incoming
from routing.folding import fold
from routing.holding import may_tell, send_plainly
from routing.policy import Agent
from routing.records import Ticket
from routing.words import Purpose
from routing.writing import send_to_agent

LIST = "list"  # the code of a mail that is a list
SHOWN = "shown"  # of one that shows a ticket
MAX_QUERY = 200  # characters

_NUMBER = re.compile(r"[#＃]?\s*(\d{1,9})\Z")


# ---- lists


def asks_for_mine(act: Act) -> str:
    """`!mine`: what waits for him."""
    return _asks(act, "mine")


def asks_for_held(act: Act) -> str:
    """`!held`: what waits for his `!send` or `!ok`, and what nothing came of, each with its reason."""
    return _asks(act, "held")


def nothing_to_find(act: Act) -> str:
    return "" if act.argument.strip() else "find_what"


def asks_to_find(act: Act) -> str:
    """`!find WORDS`: the tickets that these words are about, of those that he may see."""
    return _asks(act, "found", act.argument.strip()[:MAX_QUERY])


#: How the span of a report may be written, folded.
SPANS: Mapping[str, tuple[str, ...]] = {
    "today": ("today", "今天", "今日", "本日"),
    "yesterday": ("yesterday", "昨天", "昨日"),
    "week": ("week", "thisweek", "本週", "本周", "這週", "這周", "这周", "這星期", "这星期", "一週", "一周"),
    "month": ("month", "thismonth", "本月", "這個月", "这个月", "一個月", "一个月"),
}


def span_of(argument: str) -> str:
    """today, yesterday, week or month; "" for what is none of these. Nothing said is today."""
    written = fold(argument).replace(" ", "").strip("。.")
    if not written:
        return "today"
    return next((span for span, words in SPANS.items() if written in map(fold, words)), "")


def no_such_span(act: Act) -> str:
    return "" if span_of(act.argument) else "report_when"


def asks_for_report(act: Act) -> str:
    """`!report week`: what was promised and kept."""
    return _asks(act, "report", span_of(act.argument))


def _asks(act: Act, name: str, query: str = "") -> str:
    if may_tell(act.desk, act.agent):
        send_list(act.incoming, act.desk, act.agent, name, query)
    return WORDS_UNUSED


def send_list(incoming: Incoming, desk: Desk, agent: Agent, name: str, query: str = "") -> None:
    """Send an agent a list, at his own mailbox; `intake/lists.py` fills it in when it leaves."""
    recipe = {"code": LIST, "list": name, "query": query}
    send_plainly(incoming, desk, agent, recipe, LIST, incoming.id, agent.name, name, query)


# ---- one ticket


def number_in(argument: str) -> int | None:
    """The ticket's number that an argument is; None if it is none."""
    found = _NUMBER.match(fold(argument).strip())
    return int(found[1]) if found else None


def may_see(desk: Desk, agent: Agent, ticket: Ticket) -> bool:
    """Whether a ticket is any of this agent's business. A complaint is not his whom it is about."""
    if ticket.accused == agent.name and ticket.agent != agent.name:
        return False
    team = desk.policy.teams.get(ticket.team)
    return ticket.agent == agent.name or (
        team is not None and (agent.name in team.members or agent.name in team.supervisors)
    )


def _wanted(act: Act) -> Ticket | None:
    """The ticket to be shown: the one named, else the one whose mail he answers. None: there is none for him."""
    number = number_in(act.argument) if act.argument.strip() else act.number
    ticket = act.desk.tickets.get(number) if number is not None else None
    return ticket if ticket is not None and may_see(act.desk, act.agent, ticket) else None


def not_shown(act: Act) -> str:
    if not act.argument.strip() and act.number is None:
        return "show_what"
    ticket = _wanted(act)
    return "" if ticket is not None and act.desk.mail_channel_of(ticket) is not None else "not_yours"


def shows(act: Act) -> str:
    """`!show N`: its card and story, with an address to answer by."""
    ticket = _wanted(act)
    channel = act.desk.mail_channel_of(ticket) if ticket is not None else None
    if ticket is None or channel is None or not may_tell(act.desk, act.agent):
        return WORDS_UNUSED
    send_to_agent(act.desk, ticket, act.agent, channel, Purpose.TOLD, message=act.incoming.id, code=SHOWN)
    act.desk.tell("ticket_shown", ticket=ticket.id, message=act.incoming.id, agent=act.agent.name)
    return WORDS_UNUSED
