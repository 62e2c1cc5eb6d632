"""Confirmed: an agent answers a question of ours, and what he was asked about is done, or is dropped.

His answer needs all three: evidence, the question's token, and a reference to the question (PROMISES.md, G8). `!ok`
or `!no` stands in the first line and is all that the lines above his words ask for; anything else is asked again. A
question is answered once, and counts for a day.

To add a kind of question: its name in `QuestionKind`, a line here, and the text `question.KIND`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from routing.absences import confirmed_away
from routing.commands import CommandName, parse
from routing.confirming import answers, ask_again
from routing.days_off import confirmed_day
from routing.deed import WORDS_UNUSED
from routing.desk import Decision, Desk, Incoming
from routing.holding import held, may_tell, tell_plainly
from routing.identity import SpeakerJudgement
from routing.merging import confirmed_merge
from routing.own_words import says_nothing
from routing.passing_on import name_sender, said_sender
from routing.policy import Agent
from routing.records import Question
from routing.rewording import confirmed_text
from routing.tokens import TokenRecord
from routing.words import Outcome, QuestionKind, Speaker

MAX_BACK = 4000  # characters of his words that come back to him

#: What is done on `!ok`. It tells the agent itself what became of it.
CONFIRMED: Mapping[QuestionKind, Callable[[Incoming, Desk, Agent, Question], None]] = {
    QuestionKind.AWAY: confirmed_away,
    QuestionKind.FORWARD: name_sender,
    QuestionKind.HOLIDAY: confirmed_day,
    QuestionKind.MERGE: confirmed_merge,
    QuestionKind.TEXT: confirmed_text,
}

#: What only a supervisor may confirm: he may have been one when he asked, and none any more.
FOR_SUPERVISORS = frozenset({QuestionKind.AWAY, QuestionKind.HOLIDAY, QuestionKind.TEXT})


def on_confirmation(incoming: Incoming, desk: Desk, judged: SpeakerJudgement, record: TokenRecord) -> Decision:
    """An agent answers a question of ours. `record` is a good token of his, of the purpose CONFIRM."""
    agent = judged.agent
    assert agent is not None
    question = desk.questions.get(_number(record))
    refused = _refused(incoming, desk, agent, question, record)
    if question is None or refused:
        at = question.answered_at if question is not None else None
        told = may_tell(desk, agent) and tell_plainly(
            incoming, desk, agent, refused or "no_question", detail=at.isoformat() if at is not None else ""
        )
        return held(incoming, desk, agent, None, refused or "no_question", judged.reasons, told=told)
    answer = _answer(incoming, desk, question)
    words = parse(incoming.message.text).rest[:MAX_BACK] if answer is not None else ""
    match answer:
        case CommandName.OK:
            _close(incoming, desk, question, record, "ok")
            CONFIRMED[QuestionKind(question.kind)](incoming, desk, agent, question)
        case CommandName.NO:
            _close(incoming, desk, question, record, "no")
            if may_tell(desk, agent):
                tell_plainly(incoming, desk, agent, "question_dropped", ticket=question.ticket)
        case _:
            if may_tell(desk, agent):
                ask_again(incoming, desk, question, record)
    if not says_nothing(words, incoming, desk, agent) and may_tell(desk, agent):
        tell_plainly(incoming, desk, agent, WORDS_UNUSED, would_have_left=words)  # whatever he wished besides
    return Decision(
        outcome=Outcome.NOTED,
        speaker=Speaker.AGENT,
        ticket=question.ticket,
        agent=agent.name,
        reasons=judged.reasons,
    )


def _number(record: TokenRecord) -> int:
    number = record.purpose.partition(":")[2]
    return int(number) if number.isdecimal() else 0


def _refused(incoming: Incoming, desk: Desk, agent: Agent, question: Question | None, record: TokenRecord) -> str:
    """The code of what he is told where his answer does not count; "" if it does."""
    if question is None or question.agent != agent.name or (question.ticket or 0) != record.ticket:
        return "no_question"
    if not answers(incoming, desk, question, record):
        return "question_other"
    if question.answered_at is not None:
        return "question_dropped_before" if question.answer == "no" else "question_done"
    if question.expires_at <= desk.now:
        return "question_expired"
    if question.kind in FOR_SUPERVISORS and not agent.is_supervisor:
        return "supervisors_only"
    return "" if question.kind in CONFIRMED else "no_question"


def _answer(incoming: Incoming, desk: Desk, question: Question) -> CommandName | None:
    """OK or NO where that is what his first lines say, and nothing besides; None for anything else.

    Whose mail it is that he passed on, he says behind OK.
    """
    asked = parse(incoming.message.text)
    if asked.unknown or len(asked.commands) != 1:
        return None
    name = asked.commands[0].name
    if question.kind == QuestionKind.FORWARD and name is CommandName.OK:
        return name if said_sender(incoming, desk, question) is not None else None
    if asked.commands[0].argument:
        return None
    return name if name in (CommandName.OK, CommandName.NO) else None


def _close(incoming: Incoming, desk: Desk, question: Question, record: TokenRecord, answer: str) -> None:
    """He has answered: once."""
    done = replace(question, answered_at=desk.now, answer=answer)
    desk.questions[question.id] = done
    desk.changes.answered.append(done)
    desk.changes.used_tokens.append(record.token)
    kind = "question_confirmed" if answer == "ok" else "question_declined"
    desk.tell(
        kind,
        ticket=question.ticket,
        message=incoming.id,
        agent=question.agent,
        question=question.id,
        about=question.kind,
    )
