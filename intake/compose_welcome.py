"""The welcome of an agent, and the mails that tell him what his answers to it have shown. Pure.

Nothing in them is secret but the reply address; the canary lets a client that keeps no references be recognised.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from intake import compose_html as html
from intake import mailbytes
from intake.compose_facts import MARK, ToAgent
from intake.compose_letter import MAX_NAME, agent_headers, plain_block, plain_pairs, two_parts
from intake.compose_words import clean_line, escape, wrap
from intake.texts_loader import Texts
from routing.enrolled import Stage
from routing.enrolling import WELCOME
from routing.programs import UNNAMED

ELSEWHERE = "elsewhere"
MAX_ADDRESS = 120  # characters of somebody else's address
_CALM = {WELCOME, Stage.PROVEN.value}


@dataclass(frozen=True, kw_only=True, slots=True)
class EnrolMail(ToAgent):
    """A letter about an agent's enrolment."""

    result: str  # WELCOME, a Stage, or ELSEWHERE
    evidence: tuple[str, ...] = ()  # kinds that the mail carried
    configured: tuple[str, ...] = ()
    program: str = ""  # of the mail; UNNAMED where it does not say
    device: str = ""
    missing: tuple[str, ...] = ()  # devices
    telegram: str = ""  # WELCOME: the code by which his Telegram account is made known
    address: str = ""  # ELSEWHERE: from where it came


def enrol_facts(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """The part of an EnrolMail that stands in the recipe of its row."""
    return {
        "result": str(recipe["result"]),
        **{name: tuple(map(str, recipe.get(name, ()))) for name in ("evidence", "configured", "missing")},
        **{name: str(recipe.get(name, "")) for name in ("program", "device", "address")},
        "telegram": str(recipe.get("code_for_telegram", "")),
    }


def enrol_mail(facts: EnrolMail, texts: Texts) -> bytes:
    """The octets of either."""
    first, said = _welcome(facts, texts) if facts.result == WELCOME else _result(facts, texts)
    how = _how(facts, texts) if facts.result == WELCOME else []
    subject = texts.say("enrol.subject", facts.language)
    entity = two_parts(
        _plain(facts, texts, first, said, how), _page(facts, texts, first, said, how), (), facts.message_id
    )
    headers = agent_headers(facts, subject if facts.result == WELCOME else f"Re: {subject}", None, b"")
    return mailbytes.message(headers, entity)


def _welcome(facts: EnrolMail, texts: Texts) -> tuple[str, list[str]]:
    first = texts.say("enrol.first", facts.language, agent=clean_line(facts.agent_name, MAX_NAME))
    account = texts.say("enrol.account", facts.language, address=facts.agent_address)
    return first, [texts.say("enrol.ask", facts.language), account, texts.say("enrol.again", facts.language)]


def _how(facts: EnrolMail, texts: Texts) -> list[tuple[str, str]]:
    say = texts.say
    by_telegram = say("enrol.how_telegram", facts.language, code=facts.telegram) if facts.telegram else ""
    return [
        *([("Telegram", by_telegram)] if by_telegram else []),
        (say("enrol.typed_reply", facts.language), say("enrol.how_reply", facts.language)),
        (say("action.typed_note", facts.language), say("enrol.how_note", facts.language)),
        ("!help", say("enrol.how_help", facts.language)),
    ]


def _result(facts: EnrolMail, texts: Texts) -> tuple[str, list[str]]:
    language, result = facts.language, facts.result
    if result == ELSEWHERE:
        address = clean_line(facts.address, MAX_ADDRESS)
        first = texts.say("enrolled.elsewhere.head", language, address=address)
        todo = texts.say("enrolled.todo.elsewhere", language, own=facts.agent_address)
        return first, [texts.say("enrolled.elsewhere.why", language), todo]
    first = texts.say(f"enrolled.{result}.head", language, **{"from": _from(facts, texts)})
    carried, configured = _kinds(facts.evidence, facts, texts), _kinds(facts.configured, facts, texts)
    # Each text takes what it names: the loader has seen to that in all three languages.
    values = {"evidence": carried, "configured": configured}
    return first, [texts.say(f"enrolled.{result}.why", language, **values), _todo(facts, texts)]


def _todo(facts: EnrolMail, texts: Texts) -> str:
    if facts.result in (Stage.OTHER, Stage.UNPROBED):
        return texts.say("enrolled.todo.operator", facts.language)
    if facts.result == Stage.BARE:
        return texts.say("enrolled.todo.bare", facts.language, own=facts.agent_address)
    if facts.missing and facts.result == Stage.PROVEN:
        comma = texts.say("word.list_comma", facts.language)
        devices = comma.join(texts.say(f"enrol.device.{name}", facts.language) for name in facts.missing)
        return texts.say("enrolled.todo.missing", facts.language, devices=devices)
    return texts.say("enrolled.todo.complete", facts.language)


def _from(facts: EnrolMail, texts: Texts) -> str:
    device = texts.say(f"enrol.device.{facts.device or 'unknown'}", facts.language)
    if not facts.program or facts.program == UNNAMED:
        return device
    return texts.say("enrol.with_program", facts.language, device=device, program=clean_line(facts.program, MAX_NAME))


def _kinds(kinds: tuple[str, ...], facts: EnrolMail, texts: Texts) -> str:
    return texts.say("word.list_comma", facts.language).join(
        texts.say(f"enrol.evidence.{kind}", facts.language) for kind in kinds
    )


def _plain(facts: EnrolMail, texts: Texts, first: str, said: list[str], how: list[tuple[str, str]]) -> str:
    blocks = [wrap(f"{first} · {facts.canary}"), *(wrap(line) for line in said)]
    if how:
        blocks.append(plain_block(texts.say("enrol.how", facts.language), "", plain_pairs(how)))
    return "\n\n".join([*blocks, MARK, wrap(texts.say("enrol.last", facts.language))]) + "\n"


def _page(facts: EnrolMail, texts: Texts, first: str, said: list[str], how: list[tuple[str, str]]) -> str:
    canary = html.canary(facts.canary)
    colour = "calm" if facts.result in _CALM else "amber"
    blocks = [html.head(colour, first, canary, [escape(line) for line in said])]
    if how:
        blocks.append(html.block(texts.say("enrol.how", facts.language), "", html.pairs(how)))
    blocks += [html.rule(MARK), html.small(texts.say("enrol.last", facts.language))]
    return html.page(facts.language, first, blocks)
