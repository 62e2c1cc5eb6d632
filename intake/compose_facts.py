"""What a mail is written from: frozen facts that the core fills in from the store.

Every time is aware; every name, subject and text may be a stranger's and is cleaned by whoever writes it.
Ids, addresses and references are given as they go into a header: Message-IDs with their angle brackets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from channels.message import Medium
from intake.compose_reply import Carried
from intake.mailbytes import File
from routing.guard import MARK as MARK  # below this line of an agent's mail everything is internal
from routing.words import Kind, NoticeKind, Standing, TargetKind

Person = tuple[str, str]  # (display name, address); the address is "" where there is none to show


class MailKind(StrEnum):
    """Why an agent gets a mail about a ticket."""

    ASSIGNMENT = "assignment"
    UPDATE = "update"  # more from the customer
    WARNING = "warning"  # 50 % or 80 % of the time is gone
    BREACH = "breach"  # all of it
    SUPERVISOR = "supervisor"  # to the supervisor, with the ticket to act on


class Told(StrEnum):
    """What became of something an agent did."""

    NO_TOKEN = "no_token"  # noqa: S105
    NO_REFERENCE = "no_reference"
    NO_EVIDENCE = "no_evidence"
    EXPIRED = "expired"
    REVOKED = "revoked"
    NOT_YOUR_TICKET = "not_your_ticket"
    INTERNAL_SURVIVED = "internal_survived"
    EMPTY_REPLY = "empty_reply"
    UNKNOWN_COMMAND = "unknown_command"
    CLOSED_TICKET = "closed_ticket"
    DELIVERY_FAILED = "delivery_failed"
    DELIVERY_UNKNOWN = "delivery_unknown"
    DELIVERED_LATE = "delivered_late"
    CUSTOMER_GONE = "customer_gone"
    NO_WAY = "no_way"
    INCOMPLETE = "incomplete"
    MOVED = "moved"
    ENDED = "ended"
    MERGED_AWAY = "merged_away"
    LINK_USED = "link_used"
    WRONG_ACCOUNT = "wrong_account"
    LINK_CHANGED = "link_changed"
    LOOKS_LIKE_NOTE = "looks_like_note"
    UNKNOWN_AGENT = "unknown_agent"
    TO_CLOSED = "to_closed"
    BAD_ADDRESS = "bad_address"
    NO_REPLY_TO = "no_reply_to"
    NO_OTHER = "no_other"
    NOT_TOGETHER = "not_together"
    NOT_COPIED = "not_copied"
    COPY_UNDELIVERED = "copy_undelivered"
    ACKNOWLEDGEMENT_FAILED = "acknowledgement_failed"
    AUTOMATIC_STOPPED = "automatic_stopped"
    JUNK_SEEN = "junk_seen"
    RECIPIENTS = "recipients"
    JOINED_WORDS = "joined_words"
    SPAM_WORDS = "spam_words"
    SPAM_WORDS_HERE = "spam_words_here"
    BAD_HOLIDAY = "bad_holiday"
    HOLIDAY_DONE = "holiday_done"
    NO_SUCH_TEXT = "no_such_text"
    NO_WORDS_FOR_TEXT = "no_words_for_text"
    BAD_PLACEHOLDER = "bad_placeholder"
    TEXT_DONE = "text_done"
    ALREADY_ANSWERED = "already_answered"
    NOT_HOLDER = "not_holder"
    CUSTOMER_WROTE = "customer_wrote"
    LOOKS_ABSENT = "looks_absent"
    MERGED_ON = "merged_on"
    AFTER_ADVICE = "after_advice"
    FILES_UNSENT = "files_unsent"
    BY_PROGRAM = "by_program"
    WORDS_BEHIND = "words_behind"
    CC_NO_MAIL = "cc_no_mail"
    FILES_KEPT_BACK = "files_kept_back"
    RECORDED_BY = "recorded_by"
    NO_REFERENCE_HERE = "no_reference_here"
    CLOSED_LONG = "closed_long"
    MERGED = "merged"
    NOT_YOURS_NOW = "not_yours_now"
    NOTHING_HELD = "nothing_held"
    REPLACED = "replaced"
    ANSWERED_BY = "answered_by"
    ALREADY_HERE = "already_here"
    PASSED_NOTE = "passed_note"
    CALLED_BACK = "called_back"
    UNDO_LATE = "undo_late"
    UNDO_NOTHING = "undo_nothing"
    UNDO_OFF = "undo_off"
    CLOSED_UNANSWERED = "closed_unanswered"
    NOT_CLOSED = "not_closed"
    ABSENT = "absent"
    ABSENT_UNPROVEN = "absent_unproven"
    HELP = "help"
    BAD_WAIT = "bad_wait"
    OWES_ANSWER = "owes_answer"
    WAIT_CLOSED = "wait_closed"
    WAIT_OVER = "wait_over"
    BAD_URGENT = "bad_urgent"
    UNKNOWN_TOPIC = "unknown_topic"
    UNKNOWN_KIND = "unknown_kind"
    UNKNOWN_ACCUSED = "unknown_accused"
    TO_ACCUSED = "to_accused"
    BAD_GOT = "bad_got"
    SAME_WHICH = "same_which"
    APART_ALONE = "apart_alone"
    MERGE_SELF = "merge_self"
    MERGE_UNKNOWN = "merge_unknown"
    MERGE_MERGED = "merge_merged"
    MERGE_CLOSED = "merge_closed"
    MERGED_WORDS = "merged_words"
    MERGE_ASKED_WORDS = "merge_asked_words"
    SPLIT_NONE = "split_none"
    SPLIT_GONE = "split_gone"
    SPLIT_OPENING = "split_opening"
    SPLIT_WORDS = "split_words"
    RECORD_EMPTY = "record_empty"
    RECORD_WHO = "record_who"
    RECORD_SEVERAL = "record_several"
    RECORDED = "recorded"
    CONSULT_EMPTY = "consult_empty"
    CONSULT_SELF = "consult_self"
    UNKNOWN_SENIOR = "unknown_senior"
    NO_SENIOR = "no_senior"
    CONSULT_ASKED = "consult_asked"
    ADVICE = "advice"
    ADVICE_EMPTY = "advice_empty"
    NO_ADVICE = "no_advice"
    QUESTION = "question"  # something waits for his `!ok`
    QUESTION_DONE = "question_done"
    QUESTION_DROPPED = "question_dropped"
    QUESTION_DROPPED_BEFORE = "question_dropped_before"
    QUESTION_EXPIRED = "question_expired"
    QUESTION_OTHER = "question_other"
    NO_QUESTION = "no_question"
    WORDS_UNUSED = "words_unused"  # his command was done, his words went nowhere
    TOKEN_ONLY = "token_only"  # noqa: S105
    BOUND = "bound"  # his Telegram account
    EDITED_HERE = "edited_here"
    FORWARDED_HERE = "forwarded_here"
    NEEDS_TICKET = "needs_ticket"
    SUPERVISORS_ONLY = "supervisors_only"
    NOT_YOURS = "not_yours"
    FIND_WHAT = "find_what"
    SHOW_WHAT = "show_what"
    REPORT_WHEN = "report_when"
    PRESENCE_OFF = "presence_off"
    PRESENCE_BREAK = "presence_break"
    WRONG_BREAK = "wrong_break"
    AWAY_WHOM = "away_whom"
    AWAY_DONE = "away_done"
    AWAY_YOU = "away_you"


@dataclass(frozen=True, kw_only=True, slots=True)
class Exchange:
    """One earlier message, for the history below the rule."""

    who: str
    at: datetime
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Action:
    """A command that an agent may type."""

    typed: str  # "！結案"
    does: str  # "結案並告訴客戶"
    mailto: str = ""  # "mailto:…" or "tel:…" that does the same; "" for none


@dataclass(frozen=True, kw_only=True, slots=True)
class ToAgent:
    """What every mail to an agent has: who writes to whom, and how it is found again."""

    desk_address: str
    desk_name: str  # as customers know it; "客服 #N" is added
    agent_name: str
    agent_address: str
    language: str  # zh-Hant | zh-Hans | en
    timezone: str  # IANA, of the reader
    now: datetime
    date: datetime  # of the Date header
    message_id: str
    reply_to: str = ""  # with the token in it; "" for the desk itself
    references: tuple[str, ...] = ()
    loop: str = ""  # value of X-Intake-Loop
    canary: str = ""  # stands in every internal block


@dataclass(frozen=True, kw_only=True, slots=True)
class AgentMail(ToAgent):
    """A ticket, as an agent reads and answers it."""

    mail_kind: MailKind
    ticket: int
    customer_subject: str  # frozen when the ticket was opened
    customer_name: str
    customer_contact: str  # as shown: an address, a number
    medium: Medium
    kind: Kind
    topic: str  # its name in the reader's language; "" if none was found
    words: str  # of the customer, the new ones
    subject_name: str = ""  # the customer's name as frozen when the ticket was opened; "" for customer_name
    channel: str = ""  # name shown beside the medium; "" for none
    standing: Standing | None = None  # None where nothing can be said, as for a call
    is_urgent: bool = False
    target: TargetKind = TargetKind.FIRST_RESPONSE
    started_at: datetime | None = None  # of the target: with due_at it gives the colour
    due_at: datetime | None = None
    state: str = ""  # how it stands, where nothing is owed: "已回覆"; "" for a mail that brings work
    why_you: str = ""  # the reason as half a sentence: "您負責營業稅"
    holder: str = ""  # SUPERVISOR: who has the ticket
    reason: str = ""  # SUPERVISOR: why it is late
    answer_goes_to: tuple[Person, ...] = ()  # empty: nobody can be written to
    cc: tuple[Person, ...] = ()
    listed: tuple[Person, ...] = ()  # named in his mails, and gets nothing
    reply_to_asked: str = ""  # where this mail asks for its answer, if that is not where the answer goes
    reply_to_how: str = "asked"  # asked | doubtful | unproven | explicit: what the agent may do about it
    speaker: Person | None = None  # who wrote these words, where it is not the customer himself
    via_form: bool = False  # typed into a web form of the firm
    lay_in_junk: bool = False  # the provider had put it into the junk folder
    called_spam: bool = False  # the provider's filter calls it spam
    points_at: int | None = None  # an older ticket
    points: str = ""  # stranger | number | closed: why; "" says nothing of it
    received_at: datetime | None = None  # of the customer's words
    words_html: str = ""  # as it came; sanitised here
    files: tuple[File, ...] = ()
    card: tuple[tuple[str, str], ...] = ()  # (label, value), in order
    exchanges: tuple[Exchange, ...] = ()  # oldest first; the last three are shown
    story: tuple[tuple[str, str], ...] = ()  # (when, what), oldest first: for who asked to see the ticket
    left_out: str = ""  # what of the customer's mail is not in here, and where it is, as a sentence
    files_link: tuple[str, str] = ("", "")  # words, and where the files that are not in here can be fetched
    asks: tuple[str, str] = ("", "")  # (colleague, question): advice is asked for, and no answer to the customer
    note: str = ""  # an internal note of a colleague
    suggestion: str = ""
    actions: tuple[Action, ...] = ()
    thread_index: bytes = b""  # `mailbytes.thread_index`


@dataclass(frozen=True, kw_only=True, slots=True)
class NoticeLine:
    """One target that runs out or has run out."""

    ticket: int
    customer_name: str
    medium: Medium
    notice: NoticeKind
    target: TargetKind
    due_at: datetime
    holder: str  # who has it; "" for nobody
    topic: str = ""
    reason: str = ""
    show: str = ""  # "mailto:…" that brings the ticket; "" for none


@dataclass(frozen=True, kw_only=True, slots=True)
class NoticeMail(ToAgent):
    """One or several notices: a line each, several as a small table."""

    lines: tuple[NoticeLine, ...]
    #: Of the ticket, where all lines are about one and the mail shall stand in its conversation.
    subject_name: str = ""
    customer_subject: str | None = None
    thread_index: bytes = b""
    actions: tuple[Action, ...] = ()  # what may be done about the ticket


@dataclass(frozen=True, kw_only=True, slots=True)
class ToldMail(ToAgent):
    """An agent is told what became of something he did."""

    told: Told
    ticket: int | None = None  # None: which one is not known, or not his to know
    subject_name: str = ""
    customer_subject: str | None = None  # None keeps the customer out of the mail
    detail: str = ""  # the server's words, the command, who answered
    values: Mapping[str, str] = field(default_factory=dict)  # what else its sentences are filled in with: by, at, who
    also: tuple[str, ...] = ()  # sentences of their own, behind why
    would_have_left: str = ""  # or what the agent wrote, where nothing would have
    caption: str = ""  # over those words; "" for the usual one
    is_supervisor: bool = False  # who reads it: what he may type
    newer: str = ""  # the customer's words that came meanwhile
    files: tuple[File, ...] = ()  # a colleague's, beside his words
    actions: tuple[Action, ...] = ()  # what he may do about it, as he types it
    thread_index: bytes = b""


@dataclass(frozen=True, kw_only=True, slots=True)
class ToCustomer:
    """What every mail to a customer has."""

    firm: str
    desk_address: str
    desk_name: str  # display name of From
    to: Person
    language: str
    customer_subject: str  # his own, as he wrote it; "" where he wrote none
    message_id: str
    date: datetime
    in_reply_to: str = ""  # his last mail's Message-ID; "" begins a thread
    references: tuple[str, ...] = ()  # with his last mail's id at the end
    thread_index: str = ""  # of his last mail, as it stood there
    loop: str = ""  # value of X-Intake-Loop: our own mail is known by it when it comes home


@dataclass(frozen=True, kw_only=True, slots=True)
class CustomerMail(ToCustomer):
    """An agent's words to a customer."""

    words: str
    carried: Carried | None = None  # his HTML, made from `words`; None: plain text alone
    cc: tuple[Person, ...] = ()
    author: str = ""  # the agent's name over the firm's; "" leaves it out
    signature: str = ""  # the firm's, in his language; "" for the usual one
    ticket_in_subject: int | None = None  # only if the firm wants the number there
    files: tuple[File, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Acknowledgement(ToCustomer):
    """Received, number, answered by when."""

    ticket: int
    due_at: datetime
    now: datetime
    timezone: str
    standing: Standing  # nothing of an unverified sender's own subject is repeated
    medium: Medium = Medium.EMAIL
    kind: Kind = Kind.CONSULTATION
    opens_at: datetime | None = None  # set when the desk is closed now
    hotline: str = ""
    is_postponed: bool = False  # the time that he was told has moved
    elsewhere: Medium | None = None  # where he has been answered


def share_used(started_at: datetime | None, due_at: datetime | None, now: datetime) -> float:
    """How much of the time of a target is gone: 0.0 at its start, 1.0 and more when due; 0.0 where it has none."""
    if started_at is None or due_at is None or due_at - started_at <= timedelta(0):
        return 0.0 if due_at is None or now < due_at else 1.0
    return max(0.0, (now - started_at) / (due_at - started_at))
