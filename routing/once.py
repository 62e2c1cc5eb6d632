"""Once: what an agent's mail asked for is not done again when an operator has the same mail decided a second time."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

from routing.deed import Act

Step = Callable[[Act], str]


def is_done(act: Act) -> bool:
    """Whether this very mail was carried out before: it was put back, and its Message-ID is known to its ticket.

    What was held leaves no key: put back, it is tried again. A mail without a Message-ID cannot be told.
    """
    mail = act.incoming.message.message_id
    return act.incoming.known_ticket is not None and mail in act.desk.keys


def asked_once(why_not: Step) -> Step:
    """Nothing is against what has been done already."""

    @wraps(why_not)
    def asked(act: Act) -> str:
        return "" if is_done(act) else why_not(act)

    return asked


def done_once(step: Step) -> Step:
    """A step that is left out the second time; the first time the mail's key is kept with its ticket."""

    @wraps(step)
    def done(act: Act) -> str:
        if is_done(act):
            return ""
        told = step(act)
        if act.number is not None:
            act.desk.put_key(act.incoming.message.message_id, act.number, is_ours=False)
        return told

    return done
