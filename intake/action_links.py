"""Action links: mails that do what a typed command does, all in an ASCII address and subject (RFC 6068)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import quote

from intake.cards import Stationery
from intake.compose_facts import Action
from routing.commands import CommandName
from routing.deeds import DEEDS
from routing.links import SUBJECTS
from routing.policy import ChannelPolicy
from routing.tokens import reply_address
from store.outbox import OutboxItem

#: What needs no ticket, and so no token: evidence of who sent it is enough.
_PLAIN: Mapping[CommandName, str] = {
    CommandName.MINE: "!mine",
    CommandName.HELD: "!held",
    CommandName.ON: "!on",
    CommandName.OFF: "!off",
    CommandName.BREAK: "!break 30min",
    CommandName.REPORT: "!report week",
    CommandName.HELP: "!help",
}


def actions(
    names: Iterable[CommandName], item: OutboxItem, with_: Stationery, channel: ChannelPolicy, language: str
) -> tuple[Action, ...]:
    """The commands that a mail offers, as they are typed; those that one may follow are links."""
    return tuple(
        Action(
            typed=with_.texts.say(f"action.typed_{name}", language),
            does=with_.texts.say(f"action.{name}", language),
            mailto=_link(name, item, channel),
        )
        for name in names
        if name in DEEDS
    )


def _link(name: CommandName, item: OutboxItem, channel: ChannelPolicy) -> str:
    token = item.recipe.get("acts", {}).get(name.value)
    if token:
        return mailto(reply_address(channel, token), f"{SUBJECTS[name]} [#{item.ticket}]")
    return mailto(channel.address, _PLAIN[name]) if name in _PLAIN else ""


def mailto(address: str, subject: str) -> str:
    """A link to a mail with this subject and nothing in it; "" where there is no address."""
    if not address:
        return ""
    return f"mailto:{quote(address, safe='@')}?subject={quote(subject, safe='!')}"
