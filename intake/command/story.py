"""A ticket's events as sentences: one line for each fact, and on request the reasons behind it.

The table holds a sentence for every kind of event that may stand in a ticket's story; a kind that it does not know is
told by its name and fields, so that an older program can read a newer log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from intake import dates
from routing import candidates
from routing.reasons import Reason, sentence
from routing.records import Event

#: kind -> sentence. Fields of the event and of its data in braces; times and targets are put into words before.
SENTENCES: Mapping[str, str] = {
    "message_accepted": "Message {message} came by {channel} ({octets} octets) and was kept.",
    "message_parked": "Message {message} was parked: {reason}",
    "message_parked_by_hand": "An operator parked message {message}: {reason}",
    "message_requeued": "An operator put message {message} back into the queue.",
    "message_copied": "Message {message} is a copy of message {copy_of}: nothing follows from it.",
    "message_ignored": "Message {message} was written by a machine ({verdict}): recorded, not answered.",
    "message_added": "Message {message} was added to the ticket.",
    "file_fetched": "{agent} fetched a file of message {message} ({octets} octets).",
    "token_misused": "Message {message} was sent to an agent's reply address by somebody else.",
    "enrolment_asked": "{agent} was sent a welcome by {channel}.",
    "evidence_seen": "A mail of {agent} showed for the first time: {evidence}.",
    "agent_enrolled": "{agent} answered the welcome; shown by {evidence}.",
    "agent_bound": "{agent} works from a Telegram account now.",
    "binding_refused": "A code for binding an account to {agent} did not count ({why}).",
    "enrolment_not_counted": "An answer to the welcome of {agent} does not count ({why}).",
    "probe_sent": "A mail with a forged header is sent to {channel} from outside.",
    "probe_answered": "The probe of {channel} came in: its header was {result}.",
    "customer_graded": "The customer is of class {grade}.",
    "customer_registered": "The sender was registered as customer {customer}.",
    "ticket_opened": "The ticket was opened: {kind_of_ticket}, topic {topic}, for team {team}.",
    "ticket_started": "{agent} wrote to the customer first: topic {topic}, team {team}.",
    "mail_passed_on": "{agent} passed on a mail that had been written {written_at}: late by us by {late_by_us_s}.",
    "passed_on_in_doubt": "{agent} passed on a mail, and is asked whose it is ({why}).",
    "sender_named": "{agent} said whose mail it is: customer {customer}.",
    "ticket_closed": "{agent} closed the ticket.",
    "target_set": "{target} promised by {due_at} ({budget}, calendar {calendar}).",
    "target_warned": "{agent} was warned: {target} is due {due_at}.",
    "target_breached": "{target} was due {due_at} and is late.",
    "target_moved": "{target} is due {due_at} now, instead of {was_due_at}.",
    "target_paused": "{target} waits for the customer: its clock stands.",
    "target_resumed": "{target} runs on: due {due_at} now, instead of {was_due_at}.",
    "target_withdrawn": "{target} is no longer owed.",
    "target_met": "{target} was kept: delivered {delivered_at}.",
    "target_reopened": "{target} is owed again by {due_at}: the answer never arrived.",
    "first_response_recorded": "First response: answered {answered_at}, delivered {delivered_at}.",
    "supervisor_told": "The supervisor was told: {target}, due {due_at}.",
    "manager_told": "The managers were told: {target}, due {due_at}.",
    "manager_missing": "No manager could be told: {target}, due {due_at}.",
    "supervisor_missing": "No supervisor could be told: {target}, due {due_at}.",
    "assigned": "Assigned to {agent}.",
    "assignment_failed": "Nobody of team {team} could take it.",
    "agent_unreachable": "{agent} could not be reached: {why}.",
    "acknowledgement_withheld": "No acknowledgement was sent.",
    "answer_queued": "{agent} answered; it is on its way by {channel}.",
    "reply_held": "A reply of {agent} was held ({why}).",
    "participants_noted": "Mail named others: {copied} get copies, {listed} get nothing.",
    "copies_changed": "{agent} changed who gets copies: {added} added, {removed} taken out.",
    "reply_to_asked": "The customer asks to be answered elsewhere; the agent is asked.",
    "reply_to_confirmed": "The customer's answers go where he asked.",
    "reply_to_refused": "{agent} left the answers at the stored address.",
    "ticket_merged": "{agent} let the sender into #{into}; this ticket is closed.",
    "ticket_joined": "{agent} joined #{joined} to this ticket.",
    "marked_spam": "{agent} called it spam.",
    "marked_not_spam": "{agent} said it is no spam.",
    "waiting_begun": "{agent} waits for the customer until {until_at}.",
    "wait_over": "The customer did not write in time: it is open again.",
    "urgency_changed": "{agent} said whether it is urgent: {urgent}.",
    "complaint_implied": "What happened makes it a complaint; it was {was_kind}.",
    "reclassified": "{agent} made it {kind_of_ticket}, topic {topic}; it was {was_kind}, topic {was_topic}.",
    "document_received": "{agent} ticked off {count} papers that have come.",
    "matter_joined": "{agent} said that it is the same matter as #{matter}.",
    "matter_left": "{agent} said that it is not the same matter as #{matter}.",
    "ticket_rescued": "{taken_from} would have missed {due_at}: {agent} has it now.",
    "supervisors_asked": "Nobody has it: the supervisors of {team} got it.",
    "ticket_split": "{agent} made message {source} of #{follows} this ticket: {kind_of_ticket}, topic {topic}.",
    "message_taken_out": "{agent} took message {message} out: it is #{into} now.",
    "ticket_recorded": "{agent} wrote down what was said elsewhere: {kind_of_ticket}, topic {topic}.",
    "answer_recorded": "{agent} answered elsewhere ({way}), at {answered_at}.",
    "consulted": "{agent} asked {senior} for advice, to be had by {answer_by_at}.",
    "advice_given": "{agent} gave advice to {asker}; it stays inside.",
    "advice_missing": "{senior} has not answered {agent}'s question.",
    "held_released": "{agent} let the held reply go.",
    "ticket_shown": "{agent} was shown the ticket.",
    "presence_changed": "{agent} is {state}.",
    "holiday_said": "{agent} said that the desk is closed: {day}.",
    "text_replaced": "{agent} replaced the text {text} ({language}).",
    "ticket_claimed": "{agent} answered first and has the ticket.",
    "answer_called_back": "{agent} called back what had not left yet ({answers}).",
    "ticket_opened_again": "{agent} opened the ticket again.",
    "absence_hinted": "A machine answered for {agent}; {told} supervisors were told.",
    "question_asked": "{agent} was asked to confirm ({about}, question {question}).",
    "question_confirmed": "{agent} confirmed question {question} ({about}): it was done.",
    "question_declined": "{agent} declined question {question} ({about}): nothing was done.",
    "note_recorded": "{agent} left a note; it stays inside.",
    "delivered": "Delivered by {channel}: {purpose}.",
    "delivery_delayed": "Not delivered yet ({purpose}): {error} Next try {next_at}.",
    "delivery_failed": "Could not be delivered ({purpose}): {error}",
    "delivery_unknown": "Whether it arrived is unknown ({purpose}): {error}",
    "delivery_bundled": "Left together with what came after it ({purpose}).",
    "delivery_held": "Waits for its channel {channel}, which is not in the configuration any more ({purpose}).",
    "delivery_resumed": "Its channel {channel} is back ({purpose}).",
    "ticket_reopened": "The answer never arrived: the ticket waits for {agent} again.",
    "delivery_bounced": "Came back undelivered ({purpose}): {status}",
    "report_received": "A mail server reported on one of our mails: {report} {status}",
    "junk_seen": "Message {message} is junk: counted, no ticket.",
    "day_told": "{agent} was sent the list of the day ({list}).",
    "warning_dropped": "A warning for {agent} did not leave: it was no news any more.",
    "junk_told": "{count} mails of {senders} senders were junk: {told} were told.",
    "complaint_received": "Its reader reported a mail of ours as junk ({feedback}): no more acknowledgements to him.",
    "automatic_stopped": "Acknowledgements stopped: more than {cap} within an hour.",
    "automatic_resumed": "Acknowledgements leave again; {withheld} stayed behind.",
    "target_restored": "{target} is owed again by {due_at}.",
    "call_event_recorded": "The exchange reported: {call_event}.",
    "call_joined": "The same number had called before: it is the same ticket.",
    "call_answered": "{agent} answered the call.",
    "call_missed": "The call ended without an answer: a callback is owed.",
    "note_not_possible": "The caller could not be sent a note: {why}.",
}

_PEOPLE = "nobody"


@dataclass(frozen=True)
class Teller:
    """Puts events into words for one reader."""

    timezone: str
    now: datetime
    language: str = "en"  # of the reasons

    def says(self, event: Event) -> str:
        """The event as one sentence."""
        facts = self._facts(event)
        written = SENTENCES.get(event.kind)
        if written is None:
            told = ", ".join(f"{name} {value}" for name, value in event.data.items() if not isinstance(value, list))
            return f"{event.kind.replace('_', ' ')}{': ' if told else ''}{told}"
        return written.format_map(facts).rstrip() + self._margin(event)

    def why(self, event: Event) -> Iterator[str]:
        """The reasons, then who was considered, a sentence each."""
        for reason in _listed(event.data.get("reasons")):
            if isinstance(reason, Mapping):
                data = reason.get("data")
                words = str(reason.get("words", ""))
                facts = dict(data) if isinstance(data, Mapping) else {}
                yield sentence(Reason(str(reason.get("code", "")), words, facts), self.language)
        for candidate in _listed(event.data.get("candidates")):
            if isinstance(candidate, list) and len(candidate) >= 2:
                yield candidates.told(candidate, self.language)

    def _facts(self, event: Event) -> dict[str, str]:
        facts: dict[str, Any] = {
            "message": event.message,
            "customer": event.customer,
            "agent": event.agent or _PEOPLE,
            **event.data,
        }
        return _Facts({name: self._worded(name, value) for name, value in facts.items()})

    def _worded(self, name: str, value: Any) -> str:
        if name == "topic":
            return str(value).replace("_", " ") or "none"
        if name == "target":
            return str(value).replace("_", " ").capitalize()
        if name == "octets" and isinstance(value, int):
            return f"{value:,}"
        if name == "late_by_us_s" and isinstance(value, int | float):
            return dates.span(timedelta(seconds=value), dates.EN)
        if name.endswith("_at") and isinstance(value, str):
            return _moment(value, dates.deadline if name == "due_at" else dates.moment, self.timezone, self.now)
        return str(value)

    @staticmethod
    def _margin(event: Event) -> str:
        seconds = event.data.get("margin_s")
        if not isinstance(seconds, int | float):
            return ""
        said = dates.span(timedelta(seconds=seconds), dates.EN)
        return f" {said} to spare." if seconds >= 0 else f" {said} late."


class _Facts(dict[str, str]):
    """A fact that an event does not have leaves its name, and breaks nothing."""

    def __missing__(self, key: str) -> str:
        return f"({key} unknown)"


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _moment(written: str, say: Callable[[datetime, str, str, datetime], str], timezone: str, now: datetime) -> str:
    try:
        return say(datetime.fromisoformat(written), timezone, dates.EN, now)
    except ValueError:
        return written
