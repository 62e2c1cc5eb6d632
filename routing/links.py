"""Links: a command that an agent follows in a mail of ours, and sends as a mail with nothing written in it.

The command stands in the subject, where every phone leaves it alone, and counts there only while the text is empty, a
signature apart. What is done on a ticket goes to an address of its own: its token is made for this one deed, works
once, and stands in for the reference that such a mail cannot carry (PROMISES.md, G8). Who sent it is proven like any
other mail of his. No link speaks to a customer: `!send` lets go what was proven when it was held.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import timedelta

from channels.message import Medium
from routing.commands import CommandName, bare, is_signature, parse
from routing.desk import Desk, Incoming
from routing.own_words import says_nothing
from routing.policy import Agent, ChannelPolicy
from routing.tokens import TokenRecord, act_of, issue, purpose_of_act
from routing.words import Purpose

LINK_FOR = timedelta(days=30)  # that long a link in a mail works
MAX_SUBJECT = 200  # characters of a subject that may be a command

#: What a link's subject says, before the ticket's number.
SUBJECTS: Mapping[CommandName, str] = {
    CommandName.CLOSE: "!close",
    CommandName.WAIT: "!wait 3d",
    CommandName.SEND: "!send",
}
_OF_WORK = (CommandName.CLOSE, CommandName.WAIT)
_BY_PURPOSE = {Purpose.ASSIGNMENT: _OF_WORK, Purpose.UPDATE: _OF_WORK}

#: Codes of what an agent is told when his words wait for `!send`.
WAITING = frozenset(
    {"already_answered", "not_holder", "customer_wrote", "no_reference", "closed_ticket", "looks_like_note"}
    | {"merged_on", "after_advice", "files_unsent", "by_program"}
)


def commands_of(purpose: Purpose, code: object) -> tuple[CommandName, ...]:
    """What a mail to an agent has links for."""
    if purpose is Purpose.TOLD and code in WAITING:
        return (CommandName.SEND,)
    return _BY_PURPOSE.get(purpose, ())


def new_links(
    desk: Desk, ticket: int, agent: str, serial: int, channel: ChannelPolicy, names: Iterable[CommandName]
) -> dict[str, str]:
    """{command: token}, each its own and for one use; none where the desk's address cannot vary."""
    if channel.token_in == "references":  # noqa: S105
        return {}
    made = {}
    for name in names:
        record = issue(
            desk.keyring,
            ticket=ticket,
            agent=agent,
            purpose=purpose_of_act(name.value),
            serial=serial,
            now=desk.now,
            counts_for=LINK_FOR,
        )
        desk.changes.tokens.append(record)
        made[name.value] = record.token
    return made


# ---- when such a mail comes

_NUMBER = re.compile(r"\s*\[#\d{1,15}\]\s*\Z")


def by_subject(incoming: Incoming, desk: Desk, agent: Agent) -> Incoming:
    """The mail as if its subject stood in its text, where that is a command and nothing is written below."""
    line = _commanded(incoming)
    if not line or not _is_empty(incoming, desk, agent):
        return incoming
    return replace(incoming, message=replace(incoming.message, text=line))


def with_subject(incoming: Incoming) -> Incoming:
    """The mail with a command of its subject above its text: all that it may ask for, when it is not yet known what
    stands below. Only to be read, never to be decided on."""
    line = _commanded(incoming)
    if not line:
        return incoming
    return replace(incoming, message=replace(incoming.message, text=f"{line}\n{incoming.message.text}"))


def _commanded(incoming: Incoming) -> str:
    """The command that the subject is; "" if it is none."""
    if incoming.medium is not Medium.EMAIL:
        return ""
    line = _NUMBER.sub("", bare(incoming.message.subject[:MAX_SUBJECT]))
    return line if line.startswith(("!", "！")) else ""


def _is_empty(incoming: Incoming, desk: Desk, agent: Agent) -> bool:
    text = incoming.message.text
    return is_signature(text) or says_nothing(text, incoming, desk, agent)


def why_not_followed(incoming: Incoming, record: TokenRecord) -> str:
    """The code of why a link does nothing; "" if it does what it was made for."""
    if record.used_at is not None:
        return "link_used"
    asked = parse(incoming.message.text)
    is_it = [c.name.value for c in asked.commands] == [act_of(record)]
    return "" if is_it and not asked.rest and not asked.unknown else "link_changed"


def follow(desk: Desk, record: TokenRecord) -> None:
    """It works once."""
    desk.changes.used_tokens.append(record.token)
    desk.tokens[record.token] = replace(record, used_at=desk.now)
