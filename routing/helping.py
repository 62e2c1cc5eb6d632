"""Helping: an agent asks what he may type."""

from __future__ import annotations

from routing.commands import CommandName
from routing.deed import WORDS_UNUSED, Act
from routing.holding import may_tell, tell_agent, tell_plainly


def helps(act: Act) -> str:
    if act.number is not None:
        tell_agent(act.incoming, act.desk, act.agent, act.ticket, CommandName.HELP.value)
    elif may_tell(act.desk, act.agent):
        tell_plainly(act.incoming, act.desk, act.agent, CommandName.HELP.value)
    return WORDS_UNUSED
