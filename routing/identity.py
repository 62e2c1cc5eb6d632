"""Identity: who speaks, by which evidence.

From is never authority and display names never count (PROMISES.md, G8 and "Attacks"). A server's opinion counts
only where no sender can have written it: with the configured authserv-id, above the topmost `Received … by` the
border host. Without a configured border host only what stands above every Received line counts; where the last
server adds no Authentication-Results of its own, a forged one stands below its Received line and is not believed.
Without any Received line nothing is believed. `border_host` must be the host that really receives from outside,
which `intake check` shows by sending itself a mail.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise

from channels.message import Medium, Message, Scheme, Verdict
from routing.filters import ScreenVerdict
from routing.folding import fold
from routing.policy import Agent, ChannelPolicy, Policy
from routing.reasons import Reason, because
from routing.words import Evidence, Speaker, Standing

MAX_HEADER = 8 * 1024  # characters of one header field that are read
MAX_RESULTS = 50  # results read of one Authentication-Results field
MAX_ASKED = 4096  # domains outside of which it is remembered whom they resemble
MIN_NEAR_LABEL = 5  # characters: shorter names are a letter apart by chance (qq.com, qy.com)


@dataclass(frozen=True, kw_only=True, slots=True)
class SpeakerJudgement:
    speaker: Speaker
    agent: Agent | None = None  # only with evidence, or with Speaker.MACHINE: whose absence note it claims to be
    evidence: Evidence | None = None
    standing: Standing = Standing.UNVERIFIED
    claims_agent: str = ""  # name of the agent that From names without proof: neither agent nor simply a customer
    reasons: tuple[Reason, ...] = ()


# --- Authentication-Results (RFC 8601) ------------------------------------------------------------------------------


def trusted_verdicts(message: Message, channel: ChannelPolicy) -> tuple[Verdict, ...]:
    """The opinions that count, in the mail's own order. Media other than mail: what their adapter has checked."""
    if message.medium is not Medium.EMAIL:
        return message.authentication
    authserv_id = channel.authserv_id.lower()
    if not authserv_id:
        return ()
    found: list[Verdict] = []
    for value in _above_the_border(message.source_headers, channel.border_host.lower()):
        by, verdicts = parse_results(value)
        if by == authserv_id:
            found.extend(verdicts)
    return tuple(found)


def _above_the_border(headers: Iterable[tuple[str, str]], border_host: str) -> list[str]:
    """Values of Authentication-Results above the line that the border wrote; none if there is no such line."""
    results: list[str] = []
    for name, value in headers:
        lower = name.lower()
        if lower == "authentication-results":
            results.append(value)
        elif lower == "received" and (not border_host or may_be_by(value, border_host)):
            return results if not border_host or received_by(value) == border_host else []
    return []


_BY = re.compile(r"(?:^|\s)by\s+([^\s;]+)", re.IGNORECASE)


def received_by(value: str) -> str:
    """The host that wrote a Received line (RFC 5321 §4.4), lower case, "" if it does not say."""
    found = _BY.search(_without_comments(value))
    return found[1].lower().rstrip(".") if found else ""


def may_be_by(value: str, host: str) -> bool:
    """Whether that host may have written a Received line, whichever way it is read.

    What stands behind "from" is the sender's word, his greeting: it may itself be "by", or open a comment that does not
    end. Below a line in doubt nothing is believed, else a forged one of the border further down would count.
    """
    if received_by(value) == host:
        return True
    words = re.split(r"[\s();]+", value[:MAX_HEADER].lower())
    return any(one == "by" and after.rstrip(".") == host for one, after in pairwise(words))


def _without_comments(value: str) -> str:
    """The field without its comments, which nest, and may hold anything that a sender chose (RFC 5322 §3.2.2)."""
    kept: list[str] = []
    depth = 0
    is_quoted = False
    characters = iter(value[:MAX_HEADER])
    for character in characters:
        if character == "\\" and (is_quoted or depth):
            escaped = next(characters, "")
            if not depth:
                # Whoever splits at quotes must not take an escaped one for the end.
                kept.append("?" if escaped in ('"', "\\") else character + escaped)
        elif character == '"' and not depth:
            is_quoted = not is_quoted
            kept.append(character)
        elif character == "(" and not is_quoted:
            depth += 1
            kept.append(" ")
        elif character == ")" and depth:
            depth -= 1
        elif not depth:
            kept.append(character)
    return "".join(kept)


_RESULT = re.compile(r"\s*([a-z][a-z0-9-]*)(?:/\d+)?\s*=\s*([a-z]+)", re.IGNORECASE)
#: A quoted value may go on (`"eve@x"@evil.example`), and what has no dot (`reason="…"`) is passed over whole.
_PROPERTY = re.compile(r'(?<![a-z])([a-z]+)(?:\.([a-z0-9_-]+))?\s*=\s*("[^"]*"[^\s;"]*|[^\s;"]+)', re.IGNORECASE)

#: method -> properties whose value says what the result is about, best first
_ABOUT = {
    "dmarc": ("header.from",),
    "dkim": ("header.d", "header.i"),
    "spf": ("smtp.mailfrom", "smtp.helo"),
    "auth": ("smtp.auth",),
}


def parse_results(value: str) -> tuple[str, tuple[Verdict, ...]]:
    """(authserv-id, results) of one Authentication-Results field, RFC 8601 §2.2. Never raises; linear."""
    parts = _split(_without_comments(value))
    by = parts[0].split()[0].strip('"').lower() if parts[0].split() else ""
    verdicts: list[Verdict] = []
    for part in parts[1 : MAX_RESULTS + 1]:
        found = _RESULT.match(part)
        if found:
            method = found[1].lower()
            verdicts.append(
                Verdict(
                    by=by,
                    method=method,
                    result=found[2].lower(),
                    domain=_about(method, part[found.end() :]),
                    is_trusted_position=False,
                )
            )
    return by, tuple(verdicts)


def _split(value: str) -> list[str]:
    """Split at semicolons outside quotes; an expression with look-ahead would be quadratic."""
    parts = [""]
    for index, piece in enumerate(value.split('"')):
        if index % 2:
            parts[-1] += f'"{piece}"'
            continue
        head, *rest = piece.split(";")
        parts[-1] += head
        parts.extend(rest)
    return parts


def _about(method: str, text: str) -> str:
    """The domain (or, for `auth`, the login) that a result is about, lower case, "" if it names none."""
    properties: dict[str, str] = {}
    for ptype, name, value in _PROPERTY.findall(text):
        properties.setdefault(f"{ptype}.{name}".lower(), value.strip('"').lower())
    for key in _ABOUT.get(method, ()):
        if value := properties.get(key, ""):
            return value if method == "auth" else value.rpartition("@")[2].rstrip(".")
    return ""


# --- agents ---------------------------------------------------------------------------------------------------------


def agent_evidence(
    message: Message,
    envelope_authenticated_as: str,
    agent: Agent,
    channel: ChannelPolicy,
    *,
    is_stripped: bool = False,
) -> Evidence | None:
    """What proves that this mail is that agent's, of the kinds his policy accepts; None when nothing does.

    DMARC and DKIM vouch for the domain of From; that a colleague cannot write under another's address is for the
    firm's own server to see to. Token-only is the weakest and is given last: the token itself is judged elsewhere.
    `is_stripped`: a probe has shown that the channel's server takes INTERNAL_HEADER out of mail from outside.
    """
    if not _is_from(message, agent):
        return None
    for kind in shown_by(message, envelope_authenticated_as, agent, channel):
        if kind in agent.evidence and (kind is not Evidence.EXCHANGE_INTERNAL or is_stripped):
            return kind
    return Evidence.TOKEN_ONLY if Evidence.TOKEN_ONLY in agent.evidence else None


def shown_by(
    message: Message, envelope_authenticated_as: str, agent: Agent, channel: ChannelPolicy
) -> tuple[Evidence, ...]:
    """Every kind of evidence that this mail of his carries, whether it counts for him or not; best first.

    EXCHANGE_INTERNAL says only that the header is there: what it is worth, a probe must have shown.
    """
    if not _is_from(message, agent):
        return ()
    logins = {name.lower() for name in ((agent.login,) if agent.login else agent.addresses)}
    verdicts = trusted_verdicts(message, channel)
    domain = _domain(message.sender.value)
    by_login = any(v.method == "auth" and v.result == "pass" and v.domain in logins for v in verdicts)
    shown = {
        Evidence.LMTP_AUTHENTICATED: envelope_authenticated_as.lower() in logins,
        Evidence.AUTHSERV: by_login or _passes("dmarc", domain, verdicts),
        Evidence.DKIM_ALIGNED: _passes("dkim", domain, verdicts),
        Evidence.EXCHANGE_INTERNAL: is_internal(message, channel),
    }
    return tuple(kind for kind, holds in shown.items() if holds)


def _is_from(message: Message, agent: Agent) -> bool:
    sender = message.sender
    return message.from_count == 1 and sender.scheme is Scheme.MAIL and sender.value.lower() in agent.addresses


#: Exchange writes it into mail of its own tenant, and "Anonymous" into what comes from elsewhere.
INTERNAL_HEADER = "X-MS-Exchange-Organization-AuthAs"
_INTERNAL = INTERNAL_HEADER.lower()


def is_internal(message: Message, channel: ChannelPolicy) -> bool:
    """Whether Exchange says that the mail never left its tenant.

    Exchange writes the header below the Received lines, where a sender could write it too. So it counts only if it
    stands there once, and, of mail that came by the border host, above what that wrote: what came by the border came
    from outside. That the header is taken out of such mail, a probe must show.
    """
    border = channel.border_host.lower()
    said: list[str] = []
    for name, value in message.source_headers:
        lower = name.lower()
        if lower == _INTERNAL:
            said.append(value.strip().lower())
        elif lower == "received" and border and may_be_by(value, border):
            break
    return said == ["internal"]


def claims_internal(message: Message) -> bool:
    """Whether the header says so anywhere in the mail, once or more often."""
    return any(n.lower() == _INTERNAL and "internal" in v.lower() for n, v in message.source_headers)


def _passes(method: str, domain: str, verdicts: Iterable[Verdict]) -> bool:
    """Whether the method passed for exactly this domain. A dmarc failure beside a pass spoils it."""
    about = {v.result for v in verdicts if v.method == method and v.domain == domain}
    return "pass" in about and not (method == "dmarc" and "fail" in about)


def _domain(address: str) -> str:
    return address.rpartition("@")[2].lower().rstrip(".")


# --- customers ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class KnownDomains:
    """The firm's domains and its customers', arranged for asking what resembles one. Built once, asked often."""

    domains: frozenset[str]
    _skeletons: dict[str, str] = field(default_factory=dict, repr=False, compare=False)
    _near: dict[str, str] = field(default_factory=dict, repr=False, compare=False)
    _asked: dict[str, str] = field(default_factory=dict, repr=False, compare=False)  # most mail is of few domains

    @classmethod
    def of(cls, domains: Iterable[str]) -> KnownDomains:
        """From domain names in any case; an address counts as its domain."""
        known = cls(frozenset(_domain(domain) for domain in domains if domain))
        for domain in sorted(known.domains):
            known._skeletons.setdefault(_skeleton(domain), domain)
            if len(domain.partition(".")[0]) >= MIN_NEAR_LABEL:
                for variant in _with_one_missing(domain):
                    known._near.setdefault(variant, domain)
        return known

    def resembled_by(self, domain: str) -> str:
        """The known domain that this one could be taken for, "" if none, or if it is known itself."""
        domain = _domain(domain)
        if not domain or domain in self.domains:
            return ""
        if (known := self._asked.get(domain)) is None:
            if len(self._asked) >= MAX_ASKED:
                self._asked.clear()
            known = self._asked[domain] = self._resembled(domain)
        return known

    def _resembled(self, domain: str) -> str:
        if known := self._skeletons.get(_skeleton(domain), ""):
            return known
        for variant in _with_one_missing(domain):
            candidate = self._near.get(variant, "")
            if candidate and _is_one_edit(domain, candidate):
                return candidate
        return ""


#: Letters of other scripts and digits that look like a Latin letter (a choice from Unicode UTS #39), then pairs.
_CONFUSABLE = str.maketrans(
    {
        look: latin
        for latin, looks in {
            "a": "аɑαàáâãäå", "b": "ь", "c": "сϲç", "d": "ԁ", "e": "еèéêëė", "g": "ɡ", "h": "һ", "i": "іıìíîï1",
            "j": "ј", "k": "кκ", "l": "ӏłⅼ", "m": "м", "n": "ոñ", "o": "оοöøóòôõ0", "p": "рρ", "q": "ԛ",
            "s": "ѕ5", "t": "тτ", "u": "υúùûü", "v": "νѵ", "w": "ԝω", "x": "хχ", "y": "уγýÿ", "z": "ᴢ",
        }.items()
        for look in looks
    }
)  # fmt: skip
_PAIRS = (("rn", "m"), ("vv", "w"), ("cl", "d"), ("-", ""), ("i", "l"))


def _skeleton(domain: str) -> str:
    """Two domains that look alike have the same one."""
    shown = fold(".".join(_decoded(label) for label in domain[:255].split("."))).translate(_CONFUSABLE)
    for pair, single in _PAIRS:
        shown = shown.replace(pair, single)
    return shown


def _decoded(label: str) -> str:
    """An internationalised label as a person sees it (RFC 3492); one that cannot be read stays as it is."""
    if not label.startswith("xn--"):
        return label
    try:
        return label[4:].encode("ascii").decode("punycode")
    except UnicodeError:
        return label


def _with_one_missing(domain: str) -> set[str]:
    """The domain, and what is left of it without any one character: neighbours meet there."""
    shown = domain[:64]
    return {shown, *(shown[:i] + shown[i + 1 :] for i in range(len(shown)))}


def _is_one_edit(one: str, other: str) -> bool:
    """Whether one character was changed, added, left out, or two neighbours exchanged."""
    if len(one) > len(other):
        one, other = other, one
    start = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), len(one))
    if len(one) < len(other):
        return one[start:] == other[start + 1 :]
    swapped = other[start : start + 2][::-1] + other[start + 2 :]
    return one[start + 1 :] == other[start + 1 :] or one[start:] == swapped


_ADDRESS = re.compile(r"[\w.+-]{1,64}@([\w-]{1,63}(?:\.[\w-]{1,63}){1,8})")


def standing(message: Message, channel: ChannelPolicy, known: KnownDomains) -> tuple[Standing, Reason]:
    """How far the sender may be believed, and why. Verified: somebody we trust vouches for the address itself."""
    if message.medium is not Medium.EMAIL:
        return _standing_by_adapter(message)
    domain = _domain(message.sender.value)
    if resembled := known.resembled_by(domain):
        return Standing.LOOKALIKE, because("lookalike", domain=domain, known=resembled)
    if message.from_count != 1:
        return Standing.UNVERIFIED, because("several_from", count=message.from_count)
    for shown in _ADDRESS.finditer(fold(message.sender.display_name[:500])):
        if shown[0] != message.sender.value.lower() and _domain(shown[0]) in known.domains:
            return Standing.LOOKALIKE, because("name_claims", address=shown[0])
    verdicts = trusted_verdicts(message, channel)
    for method in ("dmarc", "dkim"):
        if _passes(method, domain, verdicts) and not _fails("dmarc", domain, verdicts):
            return Standing.VERIFIED, because("vouched", by=channel.authserv_id, method=method)
    if any(v.method == "auth" and v.result == "pass" and v.domain == message.sender.value.lower() for v in verdicts):
        return Standing.VERIFIED, because("vouched", by=channel.authserv_id, method="auth")
    return Standing.UNVERIFIED, because("not_vouched")


def _fails(method: str, domain: str, verdicts: Iterable[Verdict]) -> bool:
    return any(v.method == method and v.result == "fail" and v.domain == domain for v in verdicts)


def _standing_by_adapter(message: Message) -> tuple[Standing, Reason]:
    passed = next((v for v in message.authentication if v.result == "pass"), None)
    if passed is None:
        return Standing.UNVERIFIED, because("not_vouched")
    return Standing.VERIFIED, because("vouched", by=passed.by, method=passed.method)


# --- everybody ------------------------------------------------------------------------------------------------------


def speaker(
    message: Message,
    policy: Policy,
    channel: ChannelPolicy,
    *,
    verdict: ScreenVerdict = ScreenVerdict.PERSON,
    authenticated_as: str = "",
    known: KnownDomains | None = None,
    is_stripped: bool = False,
    proven: Evidence | None = None,
) -> SpeakerJudgement:
    """Who this message is from. `verdict` is the filters', `authenticated_as` the envelope's.

    `is_stripped`: a probe of the channel was passed (`agent_evidence`). `proven`: what was shown beside the message.
    """
    claimed = _claimed_agent(message, policy)
    if verdict is ScreenVerdict.OWN:
        return SpeakerJudgement(speaker=Speaker.SYSTEM)
    if verdict in (ScreenVerdict.BOUNCE, ScreenVerdict.AUTOMATIC):
        # An agent's absence note is of interest to his supervisor, and authority for nothing.
        return SpeakerJudgement(speaker=Speaker.MACHINE, claims_agent=claimed.name if claimed else "")
    how_far, why = standing(message, channel, known or KnownDomains.of([channel.address]))
    if claimed is None:
        return SpeakerJudgement(speaker=Speaker.CUSTOMER, standing=how_far, reasons=(why,))
    evidence = proven or agent_evidence(message, authenticated_as, claimed, channel, is_stripped=is_stripped)
    if evidence is None:
        reasons = (because("claims_agent", agent=claimed.name), why)
        return SpeakerJudgement(speaker=Speaker.CUSTOMER, standing=how_far, claims_agent=claimed.name, reasons=reasons)
    return SpeakerJudgement(
        speaker=Speaker.AGENT,
        agent=claimed,
        evidence=evidence,
        standing=how_far,
        reasons=(because("evidence", evidence=evidence.value, agent=claimed.name), why),
    )


def _claimed_agent(message: Message, policy: Policy) -> Agent | None:
    """The agent whose address stands in From; never the one whose name is shown."""
    if message.sender.scheme is not Scheme.MAIL:
        return None
    return policy.agent_by_address(message.sender.value)
