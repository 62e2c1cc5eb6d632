"""Outside: an agent's mail that answers none of ours and yet concerns a customer.

He passes on a mail that had come to him, writes to a customer with the desk in copy, or answers past us. Evidence of
who he is is all it has (PROMISES.md, G8); nothing of it is sent to anybody outside.
"""

from __future__ import annotations

from routing.desk import Decision, Desk, Incoming
from routing.identity import SpeakerJudgement


def outside(incoming: Incoming, desk: Desk, judged: SpeakerJudgement) -> Decision | None:
    """What becomes of it; None where it is none of these."""
    return None
