"""G8, attacks: who speaks is shown by evidence, never by From, a display name or a header that anybody can write."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.message import Address, Medium, Message, Scheme, Verdict
from routing.filters import ScreenVerdict
from routing.identity import KnownDomains, agent_evidence, parse_results, speaker, standing, trusted_verdicts
from routing.policy import Agent, ChannelPolicy, Policy
from routing.words import Evidence, Speaker, Standing

BORDER = "mx.firm.example"
CHANNEL = ChannelPolicy(
    name="mail", medium="email", address="support@firm.example", authserv_id=BORDER, border_host=BORDER
)
NO_BORDER = replace(CHANNEL, border_host="")
CHEN = Agent(
    name="chen",
    display_name="陳小姐",
    addresses=("chen@firm.example", "chen@private.example"),
    evidence=frozenset({Evidence.AUTHSERV}),
)
POLICY = Policy(
    version="1",
    firm="f",
    language="zh-Hant",
    region="TW",
    hotline="",
    calendar="c",
    timezone="Asia/Taipei",
    agents={"chen": CHEN},
    teams={},
    default_team="t",
    calendars={},
    targets={},
    supervisor_after={},
    rules=(),
    channels={"mail": CHANNEL},
)
KNOWN = KnownDomains.of(["firm.example", "wang@bigcustomer.example", "qq.com", "clinic.example"])

BY_BORDER = ("Received", f"from out.example (out.example [192.0.2.1]) by {BORDER} (Postfix) with ESMTPS id 1; Mon")
BY_OTHERS = ("Received", f"from {BORDER} by out.example (Postfix) with ESMTP id 2; Mon")
BY_LMTP = ("Received", f"from {BORDER} by dovecot.firm.example with LMTP id 3; Mon")
FORGED_BY_BORDER = ("Received", f"from x by {BORDER}; Sun")


def results(text: str, by: str = BORDER) -> tuple[str, str]:
    return ("Authentication-Results", f"{by}; {text}")


PASS = results("dmarc=pass (p=reject) header.from=firm.example")


def mail(*headers: tuple[str, str], sender: str = "chen@firm.example", name: str = "", from_count: int = 1) -> Message:
    return Message(
        medium=Medium.EMAIL,
        sender=Address(scheme=Scheme.MAIL, value=sender, display_name=name),
        from_count=from_count,
        source_headers=headers,
    )


# --- where a server's opinion counts ---


@pytest.mark.parametrize(
    ("name", "channel", "headers", "counts"),
    [
        ("above the border", CHANNEL, (PASS, BY_BORDER, BY_OTHERS), True),
        ("above the border, below the store's own line", CHANNEL, (BY_LMTP, PASS, BY_BORDER), True),
        ("forged: below the border's line", CHANNEL, (BY_BORDER, PASS, BY_OTHERS), False),
        ("forged: the topmost with our id", CHANNEL, (BY_LMTP, BY_BORDER, PASS), False),
        ("forged with a forged border line", CHANNEL, (BY_BORDER, PASS, FORGED_BY_BORDER), False),
        ("the border's line is nowhere", CHANNEL, (PASS, BY_OTHERS), False),
        ("no line at all", CHANNEL, (PASS,), False),
        (
            "another server's id",
            CHANNEL,
            (results("dmarc=pass header.from=firm.example", "evil.example"), BY_BORDER),
            False,
        ),
        (
            "the border only in a comment",
            CHANNEL,
            (PASS, ("Received", f"from x (by {BORDER}) by evil.example; Mon")),
            False,
        ),
        (
            "the border only as a longer name",
            CHANNEL,
            (PASS, ("Received", f"from x by {BORDER}.evil.example; Mon")),
            False,
        ),
        (
            "upper case",
            CHANNEL,
            (("AUTHENTICATION-RESULTS", PASS[1].upper()), ("RECEIVED", BY_BORDER[1].upper())),
            True,
        ),
        ("no border: above every line", NO_BORDER, (PASS, BY_BORDER, BY_OTHERS), True),
        ("no border: forged, the server adds none", NO_BORDER, (BY_BORDER, PASS), False),
        ("no border: below the store's line", NO_BORDER, (BY_LMTP, PASS, BY_BORDER), False),
        ("no border, no line at all", NO_BORDER, (PASS,), False),
        ("no id configured", replace(CHANNEL, authserv_id=""), (results("dmarc=pass", ""), BY_BORDER), False),
    ],
)
def test_attack_forged_authentication_results(
    name: str, channel: ChannelPolicy, headers: tuple[tuple[str, str], ...], counts: bool
) -> None:
    message = mail(*headers)

    assert bool(trusted_verdicts(message, channel)) is counts
    assert (agent_evidence(message, "", CHEN, channel) is Evidence.AUTHSERV) is counts


@pytest.mark.parametrize(
    ("value", "by", "expected"),
    [
        ("mx.example; none", "mx.example", []),
        ("mx.example 1; dmarc=pass header.from=a.example", "mx.example", [("dmarc", "pass", "a.example")]),
        (
            "mx.google.com; dkim=pass header.i=@a.example header.s=x header.b=Q; spf=pass (google.com: domain of"
            " b@a.example designates 1.2.3.4; really) smtp.mailfrom=b@a.example;"
            " dmarc=fail (p=NONE) header.from=A.example",
            "mx.google.com",
            [("dkim", "pass", "a.example"), ("spf", "pass", "a.example"), ("dmarc", "fail", "a.example")],
        ),
        (
            '"mx.example"; auth=pass smtp.auth="Chen@Firm.example"',
            "mx.example",
            [("auth", "pass", "chen@firm.example")],
        ),
        (
            "mx.example; dkim/1=pass (a (nested; dmarc=pass header.from=x) comment) header.d=a.example",
            "mx.example",
            [("dkim", "pass", "a.example")],
        ),
        ('mx.example; x=fail reason="; dmarc=pass header.from=x.example"', "mx.example", [("x", "fail", "")]),
        ("mx.example; dkim=pass (unclosed; dmarc=pass header.from=x", "mx.example", [("dkim", "pass", "")]),
        ("", "", []),
        (";;;", "", []),
        ("(((", "", []),
    ],
)
def test_results_are_read_as_rfc_8601_writes_them(value: str, by: str, expected: list[tuple[str, str, str]]) -> None:
    found_by, verdicts = parse_results(value)

    assert (found_by, [(v.method, v.result, v.domain) for v in verdicts]) == (by, expected)


@given(st.text(alphabet='ab=;."()\\ @-/1', max_size=300))
def test_no_header_breaks_the_reader(value: str) -> None:
    parse_results(value)


@pytest.mark.parametrize("piece", ['"', "(", "\\", ";", "a.b=", " by ", "dmarc=pass "])
def test_a_hostile_header_costs_little(piece: str) -> None:
    message = mail(("Authentication-Results", piece * 20_000), ("Received", piece * 20_000), BY_BORDER)

    started = time.process_time()
    trusted_verdicts(message, CHANNEL)

    assert time.process_time() - started < 0.5


# --- agents ---


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("dmarc of his domain", "dmarc=pass header.from=firm.example", Evidence.AUTHSERV),
        ("dmarc of another domain", "dmarc=pass header.from=evil.example", None),
        ("dmarc without a domain", "dmarc=pass", None),
        ("dmarc of a parent domain", "dmarc=pass header.from=example", None),
        ("dmarc passed and failed", "dmarc=pass header.from=firm.example; dmarc=fail header.from=firm.example", None),
        ("dmarc failed", "dmarc=fail header.from=firm.example", None),
        ("spf alone", "spf=pass smtp.mailfrom=chen@firm.example", None),
        ("dkim alone", "dkim=pass header.d=firm.example", None),
        ("his login", "auth=pass smtp.auth=chen@firm.example; dmarc=fail header.from=firm.example", Evidence.AUTHSERV),
        ("another's login", "auth=pass smtp.auth=wang@customer.example", None),
        (
            "a customer's login under his From",
            "auth=pass smtp.auth=wang@x.example; dmarc=fail header.from=firm.example",
            None,
        ),
    ],
)
def test_g8_what_shows_that_an_agent_wrote(name: str, text: str, expected: Evidence | None) -> None:
    assert agent_evidence(mail(results(text), BY_BORDER), "", CHEN, CHANNEL) is expected


def test_g8_each_kind_of_evidence_counts_only_where_it_was_configured() -> None:
    signed = mail(results("dkim=pass header.d=firm.example"), BY_BORDER)
    lmtp = mail(BY_BORDER)

    def found(message: Message, said: str, *kinds: Evidence, login: str = "") -> Evidence | None:
        return agent_evidence(message, said, replace(CHEN, evidence=frozenset(kinds), login=login), CHANNEL)

    assert found(signed, "", Evidence.DKIM_ALIGNED) is Evidence.DKIM_ALIGNED
    assert found(signed, "", Evidence.AUTHSERV) is None
    assert found(lmtp, "chen@firm.example", Evidence.LMTP_AUTHENTICATED) is Evidence.LMTP_AUTHENTICATED
    assert found(lmtp, "chen@firm.example", Evidence.AUTHSERV) is None
    assert found(lmtp, "lin@firm.example", Evidence.LMTP_AUTHENTICATED) is None
    assert found(lmtp, "", Evidence.LMTP_AUTHENTICATED) is None
    assert found(lmtp, "C1", Evidence.LMTP_AUTHENTICATED, login="c1") is Evidence.LMTP_AUTHENTICATED
    assert found(lmtp, "chen@firm.example", Evidence.LMTP_AUTHENTICATED, login="c1") is None
    assert found(lmtp, "", Evidence.TOKEN_ONLY) is Evidence.TOKEN_ONLY
    assert found(lmtp, "") is None


def test_attack_two_from_headers() -> None:
    message = mail(PASS, BY_BORDER, from_count=2)

    told = speaker(message, POLICY, CHANNEL, known=KNOWN)

    assert (told.speaker, told.agent, told.claims_agent) == (Speaker.CUSTOMER, None, "chen")
    assert told.standing is Standing.UNVERIFIED
    assert agent_evidence(message, "chen@firm.example", replace(CHEN, evidence=frozenset(Evidence)), CHANNEL) is None


def test_attack_forged_from() -> None:
    told = speaker(mail(BY_BORDER), POLICY, CHANNEL, known=KNOWN)

    assert (told.speaker, told.agent, told.evidence, told.claims_agent) == (Speaker.CUSTOMER, None, None, "chen")
    assert [reason.code for reason in told.reasons] == ["claims_agent", "not_vouched"]


@pytest.mark.parametrize(
    "name", ["chen@firm.example", "陳小姐 <chen@firm.example>", "ｃｈｅｎ＠ｆｉｒｍ．ｅｘａｍｐｌｅ"]
)
def test_attack_display_name(name: str) -> None:
    message = mail(results("dmarc=pass header.from=evil.example"), BY_BORDER, sender="attacker@evil.example", name=name)

    told = speaker(message, POLICY, CHANNEL, known=KNOWN)

    assert (told.speaker, told.agent, told.claims_agent) == (Speaker.CUSTOMER, None, "")
    assert told.standing is Standing.LOOKALIKE


def test_an_agent_is_known_by_his_evidence() -> None:
    told = speaker(mail(PASS, BY_BORDER, sender="Chen@firm.example"), POLICY, CHANNEL, known=KNOWN)

    assert (told.speaker, told.agent, told.evidence, told.claims_agent) == (
        Speaker.AGENT,
        CHEN,
        Evidence.AUTHSERV,
        "",
    )


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        (ScreenVerdict.OWN, (Speaker.SYSTEM, None, "")),
        (ScreenVerdict.AUTOMATIC, (Speaker.MACHINE, None, "chen")),
        (ScreenVerdict.BOUNCE, (Speaker.MACHINE, None, "chen")),
        (ScreenVerdict.SPAM, (Speaker.AGENT, CHEN, "")),
    ],
)
def test_an_absence_note_of_an_agent_is_no_answer_of_his(
    verdict: ScreenVerdict, expected: tuple[Speaker, Agent | None, str]
) -> None:
    told = speaker(mail(PASS, BY_BORDER), POLICY, CHANNEL, verdict=verdict, known=KNOWN)

    assert (told.speaker, told.agent, told.claims_agent) == expected


# --- customers ---


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("dmarc=pass header.from=bigcustomer.example", Standing.VERIFIED),
        ("dkim=pass header.d=bigcustomer.example", Standing.VERIFIED),
        ("dkim=pass header.d=bigcustomer.example; dmarc=fail header.from=bigcustomer.example", Standing.UNVERIFIED),
        ("dkim=pass header.d=mailer.example", Standing.UNVERIFIED),
        ("spf=pass smtp.mailfrom=wang@bigcustomer.example", Standing.UNVERIFIED),
        ("none", Standing.UNVERIFIED),
    ],
)
def test_how_far_a_customer_is_believed(text: str, expected: Standing) -> None:
    told = standing(mail(results(text), BY_BORDER, sender="wang@bigcustomer.example"), CHANNEL, KNOWN)

    assert told[0] is expected


@pytest.mark.parametrize(
    ("domain", "known"),
    [
        ("bigcustomer.example", ""),
        ("BigCustomer.example", ""),
        ("bigcust0mer.example", "bigcustomer.example"),
        ("blgcustomer.example", "bigcustomer.example"),
        ("bigcustorner.example", "bigcustomer.example"),
        ("big-customer.example", "bigcustomer.example"),
        ("bigcustmer.example", "bigcustomer.example"),
        ("bigcustomeer.example", "bigcustomer.example"),
        ("bigcutsomer.example", "bigcustomer.example"),
        ("bıgcustomer.example", "bigcustomer.example"),
        ("xn--" + "bigсustomer".encode("punycode").decode() + ".example", "bigcustomer.example"),  # a Cyrillic с
        ("dinic.example", "clinic.example"),
        ("xn--\udcff.example", ""),
        ("qa.com", ""),  # short names are a letter apart by chance
        ("qq.com", ""),
        ("other.example", ""),
        ("", ""),
    ],
)
def test_attack_lookalike_domain(domain: str, known: str) -> None:
    assert KNOWN.resembled_by(domain) == known


def test_a_lookalike_is_not_verified_by_its_own_dmarc() -> None:
    message = mail(results("dmarc=pass header.from=bigcust0mer.example"), BY_BORDER, sender="wang@bigcust0mer.example")

    assert standing(message, CHANNEL, KNOWN)[0] is Standing.LOOKALIKE


def test_other_media_are_vouched_for_by_their_adapter() -> None:
    visitor = Message(medium=Medium.CHAT, sender=Address(scheme=Scheme.WEB, value="v1"))
    token = Verdict(by="website", method="token", result="pass")

    assert standing(visitor, CHANNEL, KNOWN)[0] is Standing.UNVERIFIED
    assert standing(replace(visitor, authentication=(token,)), CHANNEL, KNOWN)[0] is Standing.VERIFIED
