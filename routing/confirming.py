"""Confirming: what touches others, or is in doubt, is done when the agent answers our question with `!ok`.

The question is a mail with a token of its own (`confirm:ID`); it may be about no ticket at all.
"""

from __future__ import annotations

from routing.desk import Decision, Desk, Incoming
from routing.holding import held
from routing.identity import SpeakerJudgement
from routing.tokens import TokenRecord


def on_confirmation(incoming: Incoming, desk: Desk, judged: SpeakerJudgement, record: TokenRecord) -> Decision:
    """An agent answers a question of ours."""
    assert judged.agent is not None
    return held(incoming, desk, judged.agent, None, "no_reference", judged.reasons, told=False)
