"""Without a ticket: an agent's own mail to the desk, that answers none of ours.

Evidence is all it has (PROMISES.md, G8): he may ask for his list, say that he is there, pass on a customer's mail. What
touches others is asked back first. Who has no evidence but his tokens has none here. Nothing of such a mail is sent to
a customer: words beside its commands come back to their author.
"""

from __future__ import annotations

from dataclasses import replace

from routing.acting import after_words, before_words, below, cannot
from routing.commands import Parsed, parse
from routing.deed import WORDS_UNUSED, Below
from routing.deeds import DEEDS
from routing.desk import Decision, Desk, Incoming
from routing.holding import held, may_tell, tell_plainly
from routing.identity import SpeakerJudgement
from routing.outside import outside
from routing.own_words import says_nothing
from routing.policy import Agent
from routing.words import Evidence, Outcome, Speaker

MAX_BACK = 4000  # characters of his words that come back to him


def without_ticket(incoming: Incoming, desk: Desk, judged: SpeakerJudgement) -> Decision | None:
    """What becomes of it; None where it is nothing that can be done without a ticket."""
    assert judged.agent is not None
    asked = _asked(incoming, desk, judged.agent)
    is_proven = judged.evidence not in (None, Evidence.TOKEN_ONLY)
    if asked.commands or asked.unknown:
        return _commanded(incoming, desk, judged, asked, is_proven=is_proven)
    return outside(incoming, desk, judged) if is_proven else None


def _asked(incoming: Incoming, desk: Desk, agent: Agent) -> Parsed:
    """What his first lines ask for; a signature below them is no words."""
    asked = parse(incoming.message.text)
    if not asked.commands:
        return asked
    return replace(asked, rest="") if says_nothing(asked.rest, incoming, desk, agent) else asked


def _commanded(incoming: Incoming, desk: Desk, judged: SpeakerJudgement, asked: Parsed, *, is_proven: bool) -> Decision:
    agent = judged.agent
    assert agent is not None
    refused = _refused(incoming, desk, agent, asked, is_proven=is_proven)
    if refused is not None:
        code, line = refused
        told = may_tell(desk, agent) and tell_plainly(
            incoming, desk, agent, code, detail=line, meant=asked.meant, would_have_left=asked.rest[:MAX_BACK]
        )
        return held(incoming, desk, agent, None, code, judged.reasons, told=told)
    code = before_words(incoming, desk, agent, asked.commands, None, asked.rest)
    after_words(incoming, desk, agent, asked.commands, None, asked.rest)
    if asked.rest and below(asked.commands) is not Below.INSIDE and may_tell(desk, agent):
        tell_plainly(incoming, desk, agent, code or WORDS_UNUSED, would_have_left=asked.rest[:MAX_BACK])
    # What he recorded has opened a ticket: his mail belongs to it.
    opened, _ = desk.keys.get(incoming.message.message_id, (None, False))
    return Decision(
        outcome=Outcome.NOTED, speaker=Speaker.AGENT, ticket=opened, agent=agent.name, reasons=judged.reasons
    )


def _refused(incoming: Incoming, desk: Desk, agent: Agent, asked: Parsed, *, is_proven: bool) -> tuple[str, str] | None:
    """(code, line) of why nothing of it is done; None if all of it can be."""
    if not is_proven:
        return "token_only", ""
    unknown = (*asked.unknown, *(c.line for c in asked.commands if c.name not in DEEDS))
    if unknown:
        return "unknown_command", unknown[0][:200]
    return cannot(incoming, desk, agent, asked.commands, None, asked.rest)
