"""Confirming: what touches others, or is in doubt, is asked back first, in a mail that waits for `!ok`.

The question is a mail with a token of its own (`confirm:ID`); it may be about no ticket at all. What is done when it
is answered stands in `routing/confirmed.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from channels.message import Medium, Scheme
from routing.desk import Desk, Incoming, domain_of, mail_id
from routing.holding import may_tell
from routing.policy import Agent, ChannelPolicy
from routing.records import NewOutbox, Question
from routing.threads import lookup
from routing.tokens import (
    CONFIRM,
    Keyring,
    TokenRecord,
    find_canaries,
    is_canary_of,
    issue,
    reference_message_id,
)
from routing.words import Purpose, QuestionKind

COUNTS_FOR = timedelta(hours=24)  # what was asked yesterday may not be right any more
TOKEN_COUNTS_FOR = timedelta(days=30)  # longer: who answers too late is told that, rather than that he is nobody
MAX_PREVIEW = 4000  # characters
CODE = "question"  # of the told mail


def ask(
    incoming: Incoming,
    desk: Desk,
    agent: Agent,
    kind: QuestionKind,
    data: Mapping[str, Any],
    *,
    ticket: int | None = None,
    preview: str = "",
    detail: str = "",
) -> Question:
    """Ask an agent, at his own mailbox, whether to do something; nothing is done before he has said so.

    `data` is what will be done, as JSON can hold it; `asked` and `preview` are kept beside it. `detail` goes into the
    sentence `question.KIND` of the texts, `preview` is shown below it.
    """
    question = Question(
        id=desk.new_question_number(),
        agent=agent.name,
        kind=kind.value,
        message=incoming.id,
        data={**data, "asked": detail, "preview": preview[:MAX_PREVIEW]},
        asked_at=desk.now,
        expires_at=desk.now + COUNTS_FOR,
        ticket=ticket,
    )
    desk.ask(question)
    record = _token(desk, question)
    desk.changes.tokens.append(record)
    desk.tell(
        "question_asked",
        ticket=ticket,
        message=incoming.id,
        agent=agent.name,
        question=question.id,
        about=kind.value,
        expires_at=question.expires_at.isoformat(),
    )
    channel = desk.channel(incoming.channel)
    if may_tell(desk, agent):  # else it lapses unread: a program that answers for him must not go round with us
        this_id = first_mail_id(desk.keyring, channel, record.token, question.id)
        _send(incoming, desk, question, channel, record, this_id)
    return question


def ask_again(incoming: Incoming, desk: Desk, question: Question, record: TokenRecord) -> None:
    """The answer was neither yes nor no."""
    channel = desk.channel(incoming.channel)
    again = mail_id(desk.keyring, domain_of(channel), "question", question.id, incoming.id)
    _send(incoming, desk, question, channel, record, again)


def _token(desk: Desk, question: Question) -> TokenRecord:
    return issue(
        desk.keyring,
        ticket=question.ticket or 0,
        agent=question.agent,
        purpose=f"{CONFIRM}:{question.id}",
        serial=question.id,
        now=desk.now,
        counts_for=TOKEN_COUNTS_FOR,
    )


def _send(
    incoming: Incoming, desk: Desk, question: Question, channel: ChannelPolicy, record: TokenRecord, this_id: str
) -> None:
    desk.send(
        NewOutbox(
            ticket=question.ticket,
            source=incoming.id,
            channel=channel.name,
            address=f"{Scheme.MAIL.value}:{desk.policy.agents[question.agent].addresses[0]}",
            purpose=Purpose.TOLD,
            agent=question.agent,
            recipe={"message": incoming.id, "code": CODE, "question": question.id, "token": record.token},
            mail_id=this_id,
        )
    )


def first_mail_id(keyring: Keyring, channel: ChannelPolicy, token: str, question: int) -> str:
    """The Message-ID of a question as it was first sent by this channel."""
    domain = domain_of(channel)
    if channel.token_in == "references":  # noqa: S105
        return reference_message_id(token, domain)
    return mail_id(keyring, domain, "question", question)


def answers(incoming: Incoming, desk: Desk, question: Question, record: TokenRecord) -> bool:
    """Whether a mail answers this very question: it refers to its mail, or quotes its canary (G8)."""
    mails = [c for c in desk.policy.channels.values() if c.medium == Medium.EMAIL]
    ids = {first_mail_id(desk.keyring, channel, record.token, question.id) for channel in mails}
    if ids & set(lookup(incoming.message).message_ids):
        return True
    quoted = "\n".join((incoming.message.quoted, incoming.message.text_full))
    return any(is_canary_of(desk.keyring, found, mark_of(question.id)) for found in find_canaries(quoted))


def mark_of(question: int) -> int:
    """The number that a question's canary is made of: no ticket has it."""
    return -question
