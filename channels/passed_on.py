"""What a mail passes on: the mail attached to it, or the one that its words repeat under a block of headers.

It becomes a message of its own, as it might have come by itself. Evidence of nothing, and for agents' mail only: a
customer who passes something on is the one who speaks. A mail within the mail within is not looked for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from channels import forwarded, quotes
from channels.body import MAX_ENCLOSED, is_mail
from channels.headers import Headers
from channels.language import guess
from channels.message import Address, Message, PassedOn, Recipient, Role, Scheme
from channels.parts import Part, Tree


def find(tree: Tree, message: Message, parse: Callable[[bytes], Message]) -> PassedOn | None:
    """What `message`, read from `tree`, passes on; None where it looks like no forward. `parse` reads one attached."""
    mails = [part for part in tree.parts if is_mail(part) and "report" not in part.parents][:MAX_ENCLOSED]
    block = forwarded.read(message.text_full, message.subject)
    if mails:
        count = len(mails) + (block.count if block is not None and block.sender else 0)
        return _attached(tree, mails[0], message, parse, count)
    return _in_words(block, tree.headers, message) if block is not None else None


def _attached(tree: Tree, part: Part, message: Message, parse: Callable[[bytes], Message], count: int) -> PassedOn:
    original = parse(tree.payload(part))
    files = tuple(replace(file, path=f"{part.path}/{file.path}") for file in original.attachments)
    others = tuple(file for file in message.attachments if file.path != part.path and not file.is_inline)
    return PassedOn(
        original=replace(original, attachments=(*files, *others)),
        note=message.text,
        count=count,
        is_attached=True,
    )


def _in_words(block: forwarded.Block, headers: Headers, message: Message) -> PassedOn:
    split = quotes.split(block.text, block.sender, block.subject)
    date, local = forwarded.when(block.date, message.date_header, forwarded.zone_of(headers.first(b"date")))
    people = [(Role.TO, pair) for pair in block.to] + [(Role.CC, pair) for pair in block.cc]
    original = Message(
        medium=message.medium,
        sender=_address(block.name, block.sender),
        recipients=tuple(Recipient(role=role, address=_address(*pair)) for role, pair in people),
        subject=block.subject,
        text=split.new,
        quoted=split.quoted,
        text_full=block.text,
        attachments=message.attachments,
        # Programs that forward name the mail that they pass on, as in an answer.
        message_id=next(iter((*message.in_reply_to, *reversed(message.references))), ""),
        date_header=date,
        language=guess(split.new) or guess(block.subject),
        defects=message.defects,
        is_stub=message.is_stub,
    )
    return PassedOn(original=original, note=block.above, local_time=local, count=block.count)


def _address(name: str, value: str) -> Address:
    return Address(scheme=Scheme.MAIL, value=value, display_name=name)
