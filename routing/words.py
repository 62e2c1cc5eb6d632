"""The words of the desk: every state and kind that is stored, decided on or shown."""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    """What a ticket asks of the firm (POLICY.md)."""

    CONSULTATION = "consultation"  # 諮詢
    BUSINESS = "business"  # 業務辦理
    FEEDBACK = "feedback"  # 意見回饋
    COMPLAINT = "complaint"  # 客訴


class TicketState(StrEnum):
    OPEN = "open"  # somebody here must act
    ANSWERED = "answered"  # the last word was ours
    WAITING = "waiting"  # the customer owes us something
    CLOSED = "closed"


class MessageState(StrEnum):
    """accepted -> claimed -> done | parked; `requeue` leads back to accepted."""

    ACCEPTED = "accepted"
    CLAIMED = "claimed"
    DONE = "done"
    PARKED = "parked"


class TargetKind(StrEnum):
    FIRST_RESPONSE = "first_response"
    NEXT_RESPONSE = "next_response"
    RESOLUTION = "resolution"
    REPORT_BACK = "report_back"
    INITIAL_OPINION = "initial_opinion"
    CALLBACK = "callback"


class NoticeKind(StrEnum):
    """What is told once about a target."""

    WARN_50 = "warn_50"
    WARN_80 = "warn_80"
    BREACH = "breach"  # to the agent, at due_at
    SUPERVISOR = "supervisor"  # to the supervisor, at due_at or supervisor_after
    MANAGER = "manager"  # to the team's managers, later still
    OVERFLOW = "overflow"  # to the supervisors: nobody has the ticket, and time runs


class OutboxState(StrEnum):
    """pending -> attempting -> delivered | stored | pending (later) | unknown | failed; held waits for a person."""

    PENDING = "pending"
    ATTEMPTING = "attempting"
    DELIVERED = "delivered"
    STORED = "stored"  # kept for a chat visitor who is away
    UNKNOWN = "unknown"  # handed over, no answer came; retried once while next_attempt_at is set
    HELD = "held"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Purpose(StrEnum):
    """Why something is sent; the order is the order in which what waits is sent."""

    ANSWER = "answer"  # a person's words to the customer
    ASSIGNMENT = "assignment"  # new work to an agent
    UPDATE = "update"  # more from the customer, to the agent who has the ticket
    ACKNOWLEDGEMENT = "acknowledgement"
    BREACH = "breach"
    WARNING = "warning"
    TOLD = "told"  # an agent is told what became of something he did


#: What a paced account keeps a share for.
URGENT = frozenset({Purpose.ANSWER, Purpose.ASSIGNMENT})


class Speaker(StrEnum):
    """Who a message is from, by evidence."""

    CUSTOMER = "customer"
    AGENT = "agent"
    SYSTEM = "system"  # our own mail coming home
    MACHINE = "machine"  # an auto-reply, a list, a report


class Evidence(StrEnum):
    """What proves that a mail is an agent's (PROMISES.md, G8)."""

    AUTHSERV = "authserv"  # our border server's Authentication-Results: aligned dmarc, or auth of that login
    DKIM_ALIGNED = "dkim-aligned"
    EXCHANGE_INTERNAL = "exchange-internal"
    LMTP_AUTHENTICATED = "lmtp-authenticated"
    TOKEN_ONLY = "token-only"  # noqa: S105  # must be written by hand; `check` shows it
    TELEGRAM_ID = "telegram-id"  # a code mailed to him was sent from this account; never written by hand


class Standing(StrEnum):
    """How far a customer's sender may be believed."""

    VERIFIED = "verified"  # ✓ the provider vouches for the address
    UNVERIFIED = "unverified"  # ⚠ nobody does
    LOOKALIKE = "lookalike"  # ⚠ resembles somebody we know


class ParticipantRole(StrEnum):
    """What somebody beside the customer is to a ticket."""

    CC = "cc"  # gets a copy of every answer, and may speak on it
    LISTED = "listed"  # was named in a mail, and gets nothing
    REMOVED = "removed"  # an agent took him out; no mail brings him back


class ReplyToState(StrEnum):
    """What became of a contact's wish to be answered elsewhere."""

    ASKED = "asked"  # the answer still goes to the contact itself
    CONFIRMED = "confirmed"  # an agent's word: all answers go there
    REFUSED = "refused"


class SpamMark(StrEnum):
    """An agent's word on a sender."""

    SPAM = "spam"
    SPAM_UNPROVEN = "spam_unproven"  # said of mail that nobody vouched for: it counts against no verified mail
    NOT_SPAM = "not_spam"


class Outcome(StrEnum):
    """What became of a message."""

    OPENED = "opened"  # a new ticket
    ADDED = "added"  # to a ticket
    ANSWERED = "answered"  # an agent's reply, on its way to the customer
    ELSEWHERE = "elsewhere"  # an agent's words that the customer has had without us
    NOTED = "noted"  # an agent's note or command, kept inside
    HELD = "held"  # an agent's reply that may not leave as it is
    CALL = "call"  # an event of a call, recorded
    COPY = "copy"  # the same mail in another folder or mailbox
    IGNORED = "ignored"  # machine-made: recorded, never answered
    BOUNCED = "bounced"  # a report about one of our mails
    JUNK = "junk"  # from the junk folder, of nobody we know: counted, told once a day


class Origin(StrEnum):
    """How a ticket came to be, where no message of its customer opened it by itself."""

    FORWARDED = "forwarded"  # an agent passed on a mail that had come to him: late by us
    STARTED = "started"  # an agent wrote first
    RECORDED = "recorded"  # an agent wrote down what was said elsewhere
    SPLIT = "split"  # taken out of another ticket


class QuestionKind(StrEnum):
    """What waits for an agent's `!ok`."""

    AWAY = "away"  # somebody else is set absent, his tickets move
    HOLIDAY = "holiday"
    TEXT = "text"
    FORWARD = "forward"  # whose mail is this?
    MERGE = "merge"  # of two customers


class ReminderKind(StrEnum):
    """What is to be done at a moment that is no promise to a customer."""

    WAIT_OVER = "wait_over"  # the customer has not sent what he owes
    BACK_ON = "back_on"  # an absence ends
    CONSULT = "consult"  # a senior has not answered
