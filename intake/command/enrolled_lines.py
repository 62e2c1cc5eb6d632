"""What is said of agents' enrolment, a line each: by `intake check`, and below the list of `intake enrol`.

No evidence is a red line. What is weaker than it should be is never made up for here: the line says what to change.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from channels.adapter import CheckLine, CheckState
from channels.message import Medium
from intake import dates
from routing.enrolled import Enrolled, Stage, enrolled
from routing.policy import Policy
from routing.probing import COUNTS_FOR, HEADER, KEPT, KIND, passed, shortcoming
from routing.records import Probe
from routing.words import Evidence
from store import enrolments
from store.engine import Transaction

MAX_NAMED = 3  # addresses named in one line


@dataclass(frozen=True, kw_only=True)
class Known:
    """What the store knows of everybody whom the configuration names; of leavers nothing."""

    now: datetime
    agents: Mapping[str, Enrolled]
    probes: Mapping[str, Probe]  # by channel
    welcomed: Mapping[str, datetime]  # agent -> when he was last sent a welcome
    accounts: Mapping[str, str] = field(default_factory=dict)  # agent -> the Telegram account that is shown to be his


async def known(tx: Transaction, policy: Policy, now: datetime) -> Known:
    rows = await enrolments.of_agents(tx, policy.agents)
    probes = await enrolments.probes(tx, KIND)
    return Known(
        now=now,
        agents={
            name: enrolled(agent, rows.get(name, ()), lambda channel: passed(probes.get(channel), now))
            for name, agent in policy.agents.items()
        },
        probes=probes,
        welcomed=await enrolments.welcomed(tx, policy.agents),
        accounts={name: address for name, address, _ in reversed(await enrolments.bound(tx, agents=policy.agents))},
    )


async def lines(tx: Transaction | None, policy: Policy, now: datetime) -> list[CheckLine]:
    """All of them. Before the first start there is no store, and nothing that could have been seen."""
    if tx is None:
        nobody = Known(now=now, agents={}, probes={}, welcomed={})
        unseen = [enrolled(agent, (), lambda channel: False) for agent in policy.agents.values()]
        by_token = [_line_of(one, nobody, policy) for one in unseen if one.stage is Stage.BY_TOKEN]
        others = len(unseen) - len(by_token)
        later = _line(f"evidence of {others}: after the first start, intake enrol NAME")
        return [*by_token, *([later] if others else []), *lines_of_probes(nobody, policy)]
    facts = await known(tx, policy, now)
    of_agents = [line for one in facts.agents.values() for line in lines_of_agent(one, facts, policy)]
    return [*of_agents, *lines_of_probes(facts, policy)]


def lines_of_agent(one: Enrolled, facts: Known, policy: Policy) -> Iterator[CheckLine]:
    """How his mails are believed; then from which other address somebody answered his welcome."""
    yield _line_of(one, facts, policy)
    yield from _line_of_account(one.agent, facts, policy)
    if others := one.other_addresses:
        shown = ", ".join(others[:MAX_NAMED]) + (f" and {len(others) - MAX_NAMED} more" if others[MAX_NAMED:] else "")
        mend = (
            f"if it is his: set that phone to the work account, or add it to agents.{one.agent}.addresses; "
            f"then: intake enrol {one.agent}"
        )
        yield _line(one.agent, f"his welcome was answered from {shown}, which is not his", mend, CheckState.WARNING)


def _line_of_account(name: str, facts: Known, policy: Policy) -> Iterator[CheckLine]:
    """Whether his work reaches him in Telegram, where it should."""
    wish = policy.agents[name].work_by
    if account := facts.accounts.get(name):
        yield _line(f"{name}: in Telegram as {account}" + ("" if wish != "mail" else ', and work_by is "mail"'))
    elif wish != "mail":
        problem = f'work_by is "{wish}", and no Telegram account is known to be his: his work comes by mail'
        mend = f"intake enrol {name}; he sends the bot the line /start CODE of his welcome"
        if not any(c.medium == Medium.TELEGRAM for c in policy.channels.values()):
            mend = 'add a channel of type "telegram"'
        yield _line(name, problem, mend, CheckState.WARNING)


def _line_of(one: Enrolled, facts: Known, policy: Policy) -> CheckLine:
    configured, seen = ", ".join(one.configured), ", ".join(one.seen)
    match one.stage:
        case Stage.PROVEN:
            addresses = ", ".join(dict.fromkeys(row.address.partition(":")[2] for row in one.rows))
            return _line(f"{one.agent}: {', '.join(one.counted)} from {addresses}")
        case Stage.BY_TOKEN:
            problem = "token-only: whoever gets hold of a reply address can answer in his name"
            kinds = ", ".join(f'"{kind}"' for kind in one.seen if kind != Evidence.EXCHANGE_INTERNAL)
            mend = "let the mail server prove who writes, where it can"
            if kinds:
                mend = f"his mails carry more: evidence = [{kinds}]"
            return _line(one.agent, problem, mend, CheckState.WARNING)
        case Stage.UNSEEN:
            at = facts.welcomed.get(one.agent)
            if at is None:
                return _line(one.agent, "no evidence yet", f"intake enrol {one.agent}")
            day = dates.near(at, policy.timezone, dates.EN, facts.now)
            mend = f"he answers it, from his desktop and from his telephone; anew: intake enrol {one.agent}"
            return _line(one.agent, f"no evidence yet: his welcome of {day} is not answered", mend)
        case Stage.UNPROBED:
            problem = f"his mails carry {seen}, and no probe shows that {KIND} is worth anything"
            return _line(one.agent, problem, "see the line of the probe")
        case Stage.OTHER:
            kinds = ", ".join(f'"{kind}"' for kind in one.seen)
            problem = f"his mails carry {seen}, configured is {configured}: his replies are held"
            mend = f"if that is proof enough: agents.{one.agent}.evidence = [{kinds}]; else: intake check --probe-mail"
            return _line(one.agent, problem, mend)
    problem = f"his mails carry no evidence, configured is {configured}: his replies are held"
    mend = "does he send through the firm's server? What that adds to mail: intake check --probe-mail"
    return _line(one.agent, problem, mend)


_SHORT = {
    "never": "no probe was sent",
    "waiting": "the probe has not come in yet",
    "unanswered": "the probe never came in",
    KEPT: "the header is kept in mail from outside: anybody can forge it, so it never counts",
    "old": f"the probe is older than {COUNTS_FOR.days} days",
}


def lines_of_probes(facts: Known, policy: Policy) -> Iterator[CheckLine]:
    """Of each mail channel, where anybody's evidence hangs on it: what the probe has shown."""
    if not any(Evidence.EXCHANGE_INTERNAL in agent.evidence for agent in policy.agents.values()):
        return
    for name, channel in policy.channels.items():
        if channel.medium != Medium.EMAIL:
            continue
        why = shortcoming(facts.probes.get(name), facts.now)
        found = f"{name}: {KIND}"
        again = f"intake enrol --probe {name} --through HOST, the host that receives for the world (its MX)"
        mend = f"let the server take {HEADER} out of mail from outside, then: {again}" if why == KEPT else again
        yield _line(found, _SHORT[why], mend) if why else _line(found)


def _line(found: str, problem: str = "", mend: str = "", state: CheckState | None = None) -> CheckLine:
    state = state or (CheckState.BAD if problem else CheckState.OK)
    return CheckLine(subject="agents", name="", found=found, state=state, problem=problem, mend=mend)
