"""`intake check --probe-mail`: a mail channel mails itself, to show which addresses carry tokens and who vouches.

One mail goes to the desk in each form that a token could travel in, with our own mark, so that the daemon knows it as
its own and answers nothing. What comes back within 20 seconds is proof; it is flagged as read and left in the mailbox.
"""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime

from channels import mime
from channels.adapter import (
    CheckLine,
    CheckState,
    Clock,
    OutboundMessage,
    PermanentFailure,
    TemporaryFailure,
    UnknownDelivery,
)
from channels.imap_client import Imap, open_imap
from channels.imap_words import RefusedByServer
from channels.mail import account_of
from channels.message import Address, Message, Scheme
from channels.oauth_account import OAuthAccount
from channels.settings import MailSettings
from channels.smtp import SmtpSender
from intake.config import Config
from routing.filters import loop_mark
from routing.identity import parse_results, received_by, trusted_verdicts
from routing.policy import ChannelPolicy
from routing.tokens import Key, Keyring, mint, reference_message_id

WAIT = 20.0  # seconds for the mails to come back
LOOK_EVERY = 0.5  # seconds
HEAD = 64 * 1024  # octets of each new mail that are read


@dataclass(frozen=True, kw_only=True)
class Probe:
    """One mail to ourselves."""

    way: str  # plus | subdomain | references
    address: str
    message_id: str


async def probed(config: Config, clock: Clock) -> list[CheckLine]:
    """A few lines for every mail channel, one channel after the other."""
    lines: list[CheckLine] = []
    for name, settings in config.channels.items():
        if isinstance(settings, MailSettings):
            lines += await _channel(name, settings, config, clock)
    return lines


async def _channel(name: str, settings: MailSettings, config: Config, clock: Clock) -> list[CheckLine]:
    if settings.imap is None:
        return [
            _line(name, "probe", "it has no mailbox to look into", "write a mail from outside, and see: intake status")
        ]
    probes, now = probes_for(settings), clock.now()
    signs_in = settings.oauth.signs_in if settings.oauth else ()
    account = account_of(name, settings, config.store.state_dir, clock)
    mark = _mark_key(config)
    try:
        imap = await open_imap(settings.imap, account if "imap" in signs_in else None)
    except TemporaryFailure as failure:
        return [_line(name, "probe", failure.reason, "see the line of the channel above")]
    try:
        folder = await imap.select(settings.imap.folders[0])
        after = folder.uid_next or max(await imap.search("ALL"), default=0) + 1
        refused = await _send(settings, account if "smtp" in signs_in else None, probes, mark, now)
        wanted = {p.message_id for p in probes if p.way not in refused}
        arrived = await _await(imap, settings.imap.folders[0], after, wanted)
        return _told(name, settings, config.policy.channels[name], probes, refused, arrived)
    except (TemporaryFailure, RefusedByServer) as failure:
        return [_line(name, "probe", failure.reason, "try again; if it stays, look into the server's log")]
    finally:
        imap.abort()


def probes_for(settings: MailSettings) -> list[Probe]:
    """The forms in which a token could reach this mailbox; each carries one of its own, which opens nothing."""
    local, _, domain = settings.address.rpartition("@")
    ways = {"plus": f"{local}+{{token}}@{domain}", "references": settings.address}
    if settings.token_domain:
        ways["subdomain"] = f"{{token}}@{settings.token_domain}"
    return [
        Probe(way=way, address=form.format(token=token), message_id=reference_message_id(token, domain))
        for way, form in ways.items()
        for token in [_token()]
    ]


def _token() -> str:
    """In shape and length like a real one; made with a key that nobody keeps."""
    ring = Keyring(Key(0, secrets.token_bytes(32)))
    return mint(ring, ticket=0, agent="probe", purpose="probe", serial=0)


def _mark_key(config: Config) -> bytes | None:
    try:
        return Keyring.from_secret(config.tokens.key.read()).current.secret if config.tokens.key else None
    except (OSError, ValueError):
        return None  # said by the line of the key


async def _send(
    settings: MailSettings, account: OAuthAccount | None, probes: list[Probe], mark: bytes | None, now: datetime
) -> dict[str, str]:
    """Hand all of them over: {way: why it was refused}. Raises TemporaryFailure."""
    sender = SmtpSender(settings.signed_in_smtp, settings.address, account=account)
    refused: dict[str, str] = {}
    try:
        for probe in probes:
            message = OutboundMessage(
                id=0,
                recipient=Address(scheme=Scheme.MAIL, value=probe.address),
                body=letter(settings.address, probe, mark, now),
                message_id=probe.message_id,
                envelope_from=settings.address,
            )
            try:
                await sender.send(message)
            except (PermanentFailure, UnknownDelivery) as failure:
                refused[probe.way] = failure.reason
    finally:
        await sender.close()
    return refused


def letter(address: str, probe: Probe, mark: bytes | None, now: datetime) -> bytes:
    """The mail's octets."""
    lines = [
        f"From: <{address}>",
        f"To: <{probe.address}>",
        "Subject: intake check",
        f"Date: {format_datetime(now)}",
        f"Message-ID: {probe.message_id}",
        "Auto-Submitted: auto-generated",
        *([f"X-Intake-Loop: {loop_mark(mark, probe.message_id)}"] if mark else []),
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=us-ascii",
        "",
        f"`intake check` asks whether mail in the form {probe.way!r} reaches this mailbox. It may be deleted.",
        "",
    ]
    return "\r\n".join(lines).encode("ascii")


async def _await(imap: Imap, folder: str, after: int, wanted: set[str]) -> dict[str, Message]:
    """What has come back within WAIT, by Message-ID; flagged as read."""
    found: dict[str, Message] = {}
    seen: set[int] = set()
    deadline = asyncio.get_running_loop().time() + WAIT
    while wanted - found.keys() and asyncio.get_running_loop().time() < deadline:
        await imap.noop()
        uids = [u for u in await imap.search("UID", f"{after}:*") if u >= after and u not in seen]
        for uid, octets in (await imap.bodies(uids[:50], first=HEAD) if uids else {}).items():
            seen.add(uid)
            message = mime.headers_only(octets)
            if message.message_id in wanted:
                found[message.message_id] = message
                await imap.mark_seen([uid])
        await asyncio.sleep(LOOK_EVERY)
    return found


def _told(
    name: str,
    settings: MailSettings,
    channel: ChannelPolicy,
    probes: list[Probe],
    refused: dict[str, str],
    arrived: dict[str, Message],
) -> list[CheckLine]:
    works = [p.way for p in probes if p.message_id in arrived]
    lines = [_configured(name, settings, works, refused)]
    for way, why in refused.items():
        if way != settings.token_in:
            state = CheckState.WARNING
            lines.append(_line(name, f"probe {way}", why, f'token_in = "{way}" will not do', state))
    message = next(iter(arrived.values()), None)
    if message is not None:
        lines.append(_vouched(name, message, channel))
    return lines


def _configured(name: str, settings: MailSettings, works: list[str], refused: dict[str, str]) -> CheckLine:
    found = f"probe: {', '.join(works)} came back" if works else "probe: nothing came back"
    if settings.token_in in works:
        return _line(name, found)
    if settings.token_in in refused:
        problem = f"{settings.token_in} was refused: {refused[settings.token_in]}"
    else:
        problem = f"{settings.token_in} did not come back within {WAIT:g} s"
    best = next((way for way in ("plus", "subdomain", "references") if way in works), "")
    mend = f'set token_in = "{best}"' if best else "look into the junk folder and into the server's log"
    return _line(name, found, problem, mend)


def _vouched(name: str, message: Message, channel: ChannelPolicy) -> CheckLine:
    """Whether the border server's word stood where no sender can have written it."""
    if not channel.authserv_id:
        problem = "no Authentication-Results is believed: agents' mail cannot be proven by the server"
        return _line(name, "probe: authserv_id is not set", problem, "set authserv_id", CheckState.WARNING)
    verdicts = trusted_verdicts(message, channel)
    if verdicts:
        said = ", ".join(dict.fromkeys(f"{v.method}={v.result}" for v in verdicts))
        return _line(name, f"probe: Authentication-Results by {channel.authserv_id} on top ({said})")
    there = [v for n, v in message.source_headers if n.lower() == "authentication-results"]
    by = [next((v.by for v in message.authentication if v.by), "")] if there else []
    problem = f"no Authentication-Results by {channel.authserv_id} above what the border host wrote"
    mend = f'it says "{by[0]}": set authserv_id to that' if by and by[0] else "let the server add one to every mail"
    if by and by[0].lower() == channel.authserv_id.lower():
        problem, mend = _below_the_border(message, channel)
    return _line(name, "probe", problem, mend, CheckState.WARNING)


def _below_the_border(message: Message, channel: ChannelPolicy) -> tuple[str, str]:
    """What stands above the server's verdicts, so that none is believed, and which host is the border."""
    headers = [(name.lower(), value) for name, value in message.source_headers]
    wanted = channel.authserv_id.lower()
    theirs = (i for i, (n, v) in enumerate(headers) if n == "authentication-results" and parse_results(v)[0] == wanted)
    place = next(theirs, 0)
    above = [received_by(value) for name, value in headers[:place] if name == "received"]
    below = next((received_by(value) for name, value in headers[place:] if name == "received"), "")
    stands = f"below the Received line of {above[-1]}" if above else "where border_host does not expect them"
    problem = f"the Authentication-Results by {channel.authserv_id} stand {stands}: no verdict is believed"
    if not below:
        return problem, "let the server write its own Received line below its verdicts"
    return problem, f'set border_host = "{below}", the host whose Received line stands right below them'


def _line(name: str, found: str, problem: str = "", mend: str = "", state: CheckState | None = None) -> CheckLine:
    state = state or (CheckState.BAD if problem else CheckState.OK)
    return CheckLine(subject="mail", name=name, found=found, state=state, problem=problem, mend=mend)
