"""Web forms: a mail that the firm's own site writes speaks for whoever filled in the form.

He is the single Reply-To, and never verified: anybody may type any address there. So nothing that vouches for the site
may vouch for him, or an agent's address typed into the form would be an agent's word; and that the site's mail is
machine-made says nothing of him. Only mail that is proven to be the site's is read so; else it is what it looks like.
"""

from __future__ import annotations

from dataclasses import replace

from channels.message import Medium, Message, Scheme, mailable
from routing.desk import Incoming
from routing.identity import KnownDomains, standing
from routing.policy import ChannelPolicy, Policy
from routing.recipients import is_inside
from routing.words import Standing

_VOUCHING = "authentication-results"


def read_as_form(incoming: Incoming, policy: Policy) -> Incoming:
    """The message as its writer's, if a web form of the firm sent it; else unchanged."""
    message, channel = incoming.message, policy.channels.get(incoming.channel)
    if channel is None or incoming.medium is not Medium.EMAIL or not _is_form(incoming, channel):
        return incoming
    people = {a.key(): a for a in message.reply_to if a.scheme is Scheme.MAIL and mailable(a.value)}
    if len(people) != 1:
        return incoming
    [writer] = people.values()
    if is_inside(writer.value, policy):
        return incoming  # nobody of the desk is its customer: what leaves for him would come back
    return replace(
        incoming,
        message=_of_writer(replace(message, sender=writer)),
        envelope=replace(incoming.envelope, mail_from=writer.value, authenticated_as=""),
        via_form=message.sender.value,
    )


def _of_writer(message: Message) -> Message:
    return replace(
        message,
        reply_to=(),
        authentication=(),
        auto_submitted="",
        automatic_id="",
        from_count=1,
        source_headers=tuple((n, v) for n, v in message.source_headers if n.lower() != _VOUCHING),
    )


def _is_form(incoming: Incoming, channel: ChannelPolicy) -> bool:
    form = incoming.message.sender.value.lower()
    if form not in channel.web_forms or incoming.message.from_count != 1:
        return False
    if incoming.envelope.authenticated_as:
        return True  # our own server took it from somebody who had logged in
    return standing(incoming.message, channel, KnownDomains.of([form]))[0] is Standing.VERIFIED
