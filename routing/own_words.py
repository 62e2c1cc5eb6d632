"""Own words: what an agent wrote below his commands, without what his program signs there by itself.

For mails that answer no ticket's mail, and for commands that keep the words: `routing/speaking.py` knows more about
what may leave to a customer.
"""

from __future__ import annotations

from routing.desk import Desk, Incoming
from routing.guard import GuardFacts, is_only_signature, without_signature_below
from routing.habits import read
from routing.policy import Agent


def own_words(words: str, incoming: Incoming, desk: Desk, agent: Agent) -> str:
    """His words without his signature; "" where it is all that stands there."""
    if not words.strip():
        return ""
    facts = _facts(desk, agent)
    if is_only_signature(words, incoming.message, facts):
        return ""
    return without_signature_below(words, incoming.message, facts)


def says_nothing(words: str, incoming: Incoming, desk: Desk, agent: Agent) -> bool:
    """Whether nothing but his signature stands there."""
    return not words.strip() or is_only_signature(words, incoming.message, _facts(desk, agent))


def _facts(desk: Desk, agent: Agent) -> GuardFacts:
    return GuardFacts(
        private_addresses=frozenset(agent.addresses),
        private_numbers=frozenset(agent.phones),
        names=(agent.display_name,),
        signature=agent.signature,
        tails=read(desk.tails.get(agent.name, "")),
        tail_key=desk.keyring.current.secret,
    )
