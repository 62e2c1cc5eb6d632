"""Probing: does our own server take out a header that outsiders forge? Only a mail from outside shows that.

Inside one Microsoft 365 tenant a colleague's mail has no DKIM signature, and SPF fails; what remains is a header that
Exchange writes itself (`X-MS-Exchange-Organization-AuthAs: Internal`) and takes out of what comes from elsewhere. The
operator lets a mail with that header forged be sent through the server that receives for the world (`intake enrol
--probe`); how it comes in is the answer. Without a good answer that is not too old, the header proves nothing.
"""

from __future__ import annotations

import hmac
import re
from base64 import b32encode
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from channels.message import Medium, Message
from routing.desk import Decision, Desk, Incoming
from routing.identity import INTERNAL_HEADER, claims_internal
from routing.reasons import because
from routing.records import Probe
from routing.tokens import Keyring
from routing.words import Evidence, Outcome, Speaker

KIND = Evidence.EXCHANGE_INTERNAL.value
HEADER = INTERNAL_HEADER
COUNTS_FOR = timedelta(days=90)  # servers are changed: what was shown must be shown again
ANSWER_WITHIN = timedelta(hours=1)  # until then the answer before still counts; what never arrives counts for nothing
STRIPPED, KEPT = "stripped", "kept"

_SEED, _MAC = 10, 10  # octets: 80 bit that nobody guesses, and 80 bit that say it is ours
_NONCE = re.compile(r"ikp-([a-z2-7]{16})([a-z2-7]{16})")


def make_nonce(keyring: Keyring, seed: bytes) -> str:
    """The name of one probe, from 10 random octets: it stands in the mail, and is known as ours when it comes in."""
    if len(seed) != _SEED:
        raise ValueError(f"a seed has {_SEED} octets")
    random = b32encode(seed).decode().lower()
    return f"ikp-{random}{_mac(keyring.current.secret, random)}"


def _mac(secret: bytes, random: str) -> str:
    return b32encode(hmac.digest(secret, f"probe\0{random}".encode(), "sha256")[:_MAC]).decode().lower()


def nonce_in(message: Message, secrets: Iterable[bytes]) -> str:
    """The name of the probe of ours that this mail is, "" for any other. It stands in Message-ID and subject."""
    if message.medium is not Medium.EMAIL:
        return ""
    for place in (message.message_id, message.subject):
        if "ikp-" not in place[:400].lower():
            continue  # hardly any mail goes further
        found = _NONCE.search(place[:400].lower())
        if found and any(hmac.compare_digest(_mac(one, found[1]), found[2]) for one in secrets):
            return found[0]
    return ""


def passed(probe: Probe | None, now: datetime) -> bool:
    """Whether the server has shown lately that it takes the header out."""
    if probe is None or probe.result != STRIPPED or probe.seen_at is None:
        return False
    is_unanswered = probe.sent_at > probe.seen_at and now - probe.sent_at > ANSWER_WITHIN
    return not is_unanswered and now - probe.seen_at < COUNTS_FOR


def shortcoming(probe: Probe | None, now: datetime) -> str:
    """Why the header does not count: never, kept, unanswered, waiting, old; "" where it does."""
    if passed(probe, now):
        return ""
    if probe is None:
        return "never"
    if probe.seen_at is None or probe.sent_at > probe.seen_at:
        return "unanswered" if now - probe.sent_at > ANSWER_WITHIN else "waiting"
    return KEPT if probe.result == KEPT else "old"


def on_probe(incoming: Incoming, desk: Desk) -> Decision | None:
    """A probe comes in: what became of its header is recorded, no ticket is opened, nobody is answered."""
    nonce = nonce_in(incoming.message, desk.keyring.secrets)
    if not nonce:
        return None
    probe = desk.probes.get(incoming.channel)
    if probe is not None and probe.nonce == nonce and not incoming.failure and not incoming.message.is_stub:
        result = KEPT if claims_internal(incoming.message) else STRIPPED
        is_worse = probe.result == KEPT and probe.seen_at is not None and probe.seen_at >= probe.sent_at
        # It may come twice, by two ways: one that lets the header through is one too many.
        seen = replace(probe, seen_at=max(desk.now, probe.sent_at), result=KEPT if is_worse else result)
        desk.put_probe(seen)
        desk.tell("probe_answered", message=incoming.id, channel=incoming.channel, header=KIND, result=seen.result)
    return Decision(outcome=Outcome.IGNORED, speaker=Speaker.SYSTEM, reasons=(because("probe"),))
