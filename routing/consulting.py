"""Consulting: an agent asks a senior; what the senior writes is advice, and reaches no customer."""

from __future__ import annotations

from routing.desk import Decision, Desk, Incoming
from routing.holding import held
from routing.identity import SpeakerJudgement
from routing.tokens import TokenRecord


def on_advice(incoming: Incoming, desk: Desk, judged: SpeakerJudgement, record: TokenRecord) -> Decision:
    """A senior answers a colleague's question."""
    assert judged.agent is not None
    return held(incoming, desk, judged.agent, desk.tickets[record.ticket], "no_reference", judged.reasons, told=False)
