"""What is written: the one door to every mail and message the daemon words.

Pure functions from frozen facts (`compose_facts`) and the texts (`texts_loader.load`, once) to octets. No store, no
clock, no input or output. They raise `HeaderRefused` where an id or address that was given is none, KeyError where a
text is missing (the tests fill in every one), and nothing because of what a stranger wrote.
"""

from __future__ import annotations

from intake.compose_agent import agent_mail, first_line
from intake.compose_customer import (
    acknowledgement,
    acknowledgement_text,
    customer_answer,
    customer_text,
    greeted_name,
    reply_subject,
)
from intake.compose_facts import (
    MARK,
    Acknowledgement,
    Action,
    AgentMail,
    CustomerMail,
    Exchange,
    MailKind,
    NoticeLine,
    NoticeMail,
    Person,
    Told,
    ToldMail,
)
from intake.compose_letter import agent_subject, desk_display_name
from intake.compose_notices import notice_line, notice_mail, told_mail
from intake.compose_reply import Carried, carry
from intake.mailbytes import File, HeaderRefused, thread_index

__all__ = [
    "MARK",
    "Acknowledgement",
    "Action",
    "AgentMail",
    "Carried",
    "CustomerMail",
    "Exchange",
    "File",
    "HeaderRefused",
    "MailKind",
    "NoticeLine",
    "NoticeMail",
    "Person",
    "Told",
    "ToldMail",
    "acknowledgement",
    "acknowledgement_text",
    "agent_mail",
    "agent_subject",
    "carry",
    "customer_answer",
    "customer_text",
    "desk_display_name",
    "first_line",
    "greeted_name",
    "notice_line",
    "notice_mail",
    "reply_subject",
    "thread_index",
    "told_mail",
]
