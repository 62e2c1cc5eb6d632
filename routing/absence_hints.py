"""Hints of absence: a machine answered for an agent. No customer hears of it; the roster and silence decide.

His teams' supervisors are told, once a day: a note that comes back to every mail of ours must not become one of theirs.
Anybody can write such a note in his name, so they are told as well whether the mail server vouches for it.
"""

from __future__ import annotations

from datetime import timedelta

from channels.message import Message
from routing.desk import Desk, Incoming
from routing.filters import Screen
from routing.holding import tell_plainly
from routing.identity import agent_evidence
from routing.policy import Agent
from routing.probing import passed

ONCE_IN = timedelta(hours=24)
#: What a note of absence calls itself (`channels/automatic.py`); lists and newsletters that he sends are none.
_REPLIED = ("auto-replied", "perhaps-replied")
_BY_ITS_LOOKS = frozenset({"out_of_office", "null_sender"})


def looks_absent(message: Message, screened: Screen) -> bool:
    """Whether a machine's mail says that somebody is away, as far as can be told."""
    if message.auto_submitted:
        return message.auto_submitted.startswith(_REPLIED) or message.is_absent_by_words
    return any(reason.code in _BY_ITS_LOOKS for reason in screened.reasons)


def note_absence(incoming: Incoming, desk: Desk, agent: Agent) -> None:
    """Take note that a machine answered for him, and tell his supervisors if they do not know."""
    last = desk.hinted.get(agent.name)
    if last is not None and desk.now - last < ONCE_IN:
        return
    channel = desk.channel(incoming.channel)
    evidence = agent_evidence(
        incoming.message,
        incoming.envelope.authenticated_as,
        agent,
        channel,
        is_stripped=passed(desk.probes.get(incoming.channel), desk.now),
    )
    is_proven = evidence is not None
    desk.hinted[agent.name] = desk.now
    desk.changes.absence_hints.add(agent.name)
    told = 0
    for supervisor in _supervisors(desk, agent):
        code = "absent" if is_proven else "absent_unproven"
        told += tell_plainly(incoming, desk, supervisor, code, by=agent.name, about=agent.name)
    desk.tell("absence_hinted", message=incoming.id, agent=agent.name, proven=is_proven, told=told)


def _supervisors(desk: Desk, agent: Agent) -> list[Agent]:
    """Those of his teams, each once; not himself."""
    names = {n: None for team in desk.policy.teams.values() if agent.name in team.members for n in team.supervisors}
    return [desk.policy.agents[n] for n in names if n != agent.name and n in desk.policy.agents]
