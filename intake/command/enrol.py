"""`intake enrol`: which mails of which agent can be believed, who is asked to show it, and what a probe shows.

Alone it lists everybody. With an agent's name it has a welcome sent, which he answers from his desktop and from his
telephone. `--probe` sends a mail with a forged header to a channel, as anybody outside could, and says how it came in.
"""

from __future__ import annotations

import asyncio
import os
from argparse import Namespace
from datetime import datetime
from email.utils import format_datetime
from typing import Any

from channels.adapter import CheckState, Clock, OutboundMessage, PermanentFailure, TemporaryFailure, UnknownDelivery
from channels.message import Address, Scheme, mailable
from channels.settings import SmtpSettings
from channels.smtp import SmtpSender
from intake import dates
from intake.command import enrol_by_hand
from intake.command.enrolled_lines import Known, known, lines_of_agent, lines_of_probes
from intake.command.failure import Exit, Failure
from intake.command.let_do import let_do
from intake.command.opened import reading
from intake.command.setting import configuration
from intake.command.terminal import Screen
from intake.config import Config
from routing.enrolled import Enrolled, programs_in
from routing.probing import HEADER, KEPT, KIND, STRIPPED
from routing.records import Probe
from routing.tokens import Keyring
from store import enrolments
from store.engine import Database

WAIT = 60.0  # seconds for a probe to come in
LOOK_EVERY = 0.5  # seconds
OUTSIDER = "probe@outside.example"  # nobody's: RFC 2606
_MARKS = {CheckState.OK: ("green", "✓"), CheckState.WARNING: ("yellow", "!"), CheckState.BAD: ("red", "✗")}


async def run(args: Namespace, screen: Screen, clock: Clock) -> Exit:
    config = configuration(args.config)
    if args.probe:
        return await _probe(args, screen, clock, config)
    if args.agent:
        return await _welcome(args, screen, clock, config)
    if args.channel or args.through or getattr(args, "from_", None):
        raise Failure(Exit.USAGE, "say whom, or which channel", "intake enrol chen, or: intake enrol --probe CHANNEL")
    return await _list(screen, clock, config)


def keyring_of(config: Config) -> Keyring:
    """The keys of the desk, for the command that writes alone. Raises Failure."""
    if config.tokens.key is None:
        raise Failure(Exit.DAEMON, "the daemon does not run, and there is no tokens.key", "start the daemon first")
    try:
        secrets = (config.tokens.key, *config.tokens.previous_keys)
        return Keyring.from_secret("\n".join(secret.read() for secret in secrets))
    except (OSError, ValueError) as error:
        mend = "start the daemon, or run it as the daemon's user"
        raise Failure(Exit.USAGE, f"the key of the tokens cannot be read: {error}", mend) from error


# ---- a welcome


async def _welcome(args: Namespace, screen: Screen, clock: Clock, config: Config) -> Exit:
    channel = args.channel or ""

    async def alone(db: Database) -> dict[str, Any]:
        ring = keyring_of(config)
        return await enrol_by_hand.enrol(db, clock, config.policy, ring, args.agent, channel, os.getuid())

    done = await let_do(config, alone, "enrol", agent=args.agent, channel=channel)
    if screen.is_json:
        screen.json(done)
        return Exit.OK
    later = "" if done["by"] == "daemon" else " It leaves when the daemon runs."
    screen.line(f"A welcome goes to {done['address']} by {done['channel']}.{later}")
    screen.line(screen.paint("dim", "He answers it from his desktop and from his telephone. What came: intake enrol"))
    return Exit.OK


# ---- a probe


async def _probe(args: Namespace, screen: Screen, clock: Clock, config: Config) -> Exit:
    if args.agent or not args.through:
        mend = f"intake enrol --probe {args.probe} --through HOST, the host that receives for the world (its MX)"
        raise Failure(Exit.USAGE, "a probe needs the host that it is sent through", mend)
    host, port = _host(args.through)
    sender = mailable(args.from_ or OUTSIDER)
    if not sender:
        raise Failure(Exit.USAGE, f'"{args.from_}" is no mail address')

    async def alone(db: Database) -> dict[str, Any]:
        return await enrol_by_hand.probe(db, clock, config.policy, keyring_of(config), args.probe, os.getuid())

    done = await let_do(config, alone, "probe", channel=args.probe)
    refused = await _send(host, port, sender, done, clock.now())
    found = None if refused else await _await(config, args.probe, done["nonce"]) if done["by"] == "daemon" else None
    result = found.result if found is not None else None
    if screen.is_json:
        screen.json({**done, "through": args.through, "refused": refused or None, "result": result})
    else:
        _say_probe(screen, done, args.through, refused, result)
    return Exit.OK if result == STRIPPED or (not refused and done["by"] != "daemon") else Exit.WRONG


def _host(written: str) -> tuple[str, int]:
    host, colon, port = written.rpartition(":")
    if colon and port.isdigit() and 0 < int(port) < 65536 and host:
        return host.strip("[]"), int(port)
    return written.strip("[]"), 25


async def _send(host: str, port: int, sender: str, done: dict[str, Any], now: datetime) -> str:
    """Hand it over as anybody could, without signing in: why it was refused, "" if it was taken."""
    outside = SmtpSender(SmtpSettings(host=host, port=port, security="none"), sender)
    message_id = f"<{done['nonce']}@{sender.rpartition('@')[2]}>"
    message = OutboundMessage(
        id=0,
        recipient=Address(scheme=Scheme.MAIL, value=done["address"]),
        body=probe_mail(sender, done["address"], done["nonce"], message_id, now),
        message_id=message_id,
        envelope_from=sender,
    )
    try:
        await outside.send(message)
    except (TemporaryFailure, PermanentFailure, UnknownDelivery) as failure:
        return failure.reason
    finally:
        await outside.close()
    return ""


def probe_mail(sender: str, to: str, nonce: str, message_id: str, now: datetime) -> bytes:
    """The mail's octets: what an outsider would write who wants to pass for a colleague."""
    lines = [
        f"{HEADER}: Internal",
        f"From: <{sender}>",
        f"To: <{to}>",
        f"Subject: intake enrol --probe {nonce}",
        f"Date: {format_datetime(now)}",
        f"Message-ID: {message_id}",
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=us-ascii",
        "",
        f"This mail forges the header {HEADER}, to see whether the server takes it out.",
        "It opens no ticket and may be deleted.",
        "",
    ]
    return "\r\n".join(lines).encode("ascii")


async def _await(config: Config, channel: str, nonce: str) -> Probe | None:
    """The probe as it came in, within WAIT."""
    clock = asyncio.get_running_loop()
    until = clock.time() + WAIT
    while clock.time() < until:
        async with reading(config) as tx:
            found = (await enrolments.probes(tx, KIND)).get(channel)
        if found is not None and found.nonce == nonce and found.seen_at and found.seen_at >= found.sent_at:
            return found
        await asyncio.sleep(LOOK_EVERY)
    return None


def _say_probe(screen: Screen, done: dict[str, Any], through: str, refused: str, result: str | None) -> None:
    where = f"{done['channel']}, through {through}"
    if refused:
        screen.line(screen.paint("red", "✗") + f" {where}: the mail was refused: {refused}")
        screen.line("  -> another sender may be taken: --from ADDRESS. Until one comes in, the header proves nothing")
    elif result == STRIPPED:
        screen.line(screen.paint("green", "✓") + f" {where}: the header was taken out. It counts for 90 days")
    elif result == KEPT:
        screen.line(screen.paint("red", "✗") + f" {where}: the header was kept. Anybody can forge it: it never counts")
        screen.line(f"  -> let the server take {HEADER} out of mail from outside, then probe again")
    elif done["by"] == "daemon":
        screen.line(screen.paint("red", "✗") + f" {where}: the mail was taken, and did not come in within {WAIT:g} s")
        screen.line("  -> look into the junk folder. It is noted when it comes; until then the header proves nothing")
    else:
        screen.line(f"{where}: the mail was taken. How it comes in is noted when the daemon runs: intake enrol")


# ---- the list


async def _list(screen: Screen, clock: Clock, config: Config) -> Exit:
    async with reading(config) as tx:
        facts = await known(tx, config.policy, clock.now())
    if screen.is_json:
        for agent in facts.agents.values():
            screen.json(_plain(agent, facts, config))
        return Exit.OK
    if not facts.agents:
        screen.line("No agent is configured.")
        return Exit.OK
    rows = [row for agent in facts.agents.values() for row in _rows(agent, config, clock.now())]
    screen.table(("agent", "address", "channel", "evidence", "mail program", "seen"), rows, flexible=4)
    said = [one for agent in facts.agents.values() for one in lines_of_agent(agent, facts, config.policy)]
    for one in (*said, *lines_of_probes(facts, config.policy)):
        if one.problem:
            colour, mark = _MARKS[one.state]
            screen.wrapped(f"{one.found}: {one.problem}", first=screen.paint(colour, mark) + " ", then="  ")
            screen.wrapped(one.mend, first="  -> ", then="     ")
    return Exit.OK


def _rows(one: Enrolled, config: Config, now: datetime) -> list[tuple[str, ...]]:
    """A row for each kind that his mails carry, by address and channel; one where nothing is known."""
    agent = config.policy.agents[one.agent]
    found = [
        (
            row.address.partition(":")[2] + ("" if row in one.rows else " (not his)"),
            row.channel,
            row.evidence,
            ", ".join(programs_in(row)),
            dates.near(row.last_seen_at, config.policy.timezone, dates.EN, now),
        )
        for row in (*one.rows, *one.elsewhere)
    ]
    found = found or [(", ".join(agent.addresses), "", "none yet", "", "")]
    return [(one.agent if number == 0 else "", *row) for number, row in enumerate(found)]


def _plain(one: Enrolled, facts: Known, config: Config) -> dict[str, Any]:
    """What a program is told of an agent."""
    return {
        "agent": one.agent,
        "addresses": config.policy.agents[one.agent].addresses,
        "stage": one.stage.value,
        "configured": one.configured,
        "counts": one.counted,
        "seen": [
            {
                "address": row.address.partition(":")[2],
                "own": row in one.rows,
                "channel": row.channel,
                "evidence": row.evidence,
                "programs": programs_in(row),
                "first_seen_at": row.first_seen_at,
                "last_seen_at": row.last_seen_at,
            }
            for row in (*one.rows, *one.elsewhere)
        ],
        "missing": one.missing,
        "telegram": facts.accounts.get(one.agent),
        "welcomed_at": facts.welcomed.get(one.agent),
        "todo": [line.mend for line in lines_of_agent(one, facts, config.policy) if line.problem],
    }
