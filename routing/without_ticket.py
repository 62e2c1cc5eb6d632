"""Without a ticket: an agent's own mail to the desk, that answers none of ours.

Evidence is all it has (PROMISES.md, G8): he may ask for his list, say that he is there, pass on a customer's mail. What
touches others is asked back first.
"""

from __future__ import annotations

from routing.desk import Decision, Desk, Incoming
from routing.identity import SpeakerJudgement


def without_ticket(incoming: Incoming, desk: Desk, judged: SpeakerJudgement) -> Decision | None:
    """What becomes of it; None where it is nothing that can be done without a ticket."""
    return None
