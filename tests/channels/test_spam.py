"""Spam: the provider's verdict in the fields of many filters; what says "no spam" says nothing."""

from __future__ import annotations

import pytest

from channels import mime


def verdict(header: str) -> str:
    return mime.parse(f"From: a@b.example\n{header}\n\nwords\n".encode()).spam


@pytest.mark.parametrize(
    "header",
    [
        "X-Spam-Flag: YES",
        "X-Spam-Status: Yes, score=9.1 required=5.0",
        "X-Spam: Yes",
        "X-Rspamd-Action: add header",
        "X-Spamd-Result: default: True [12.1 / 6.0]",
        "X-MS-Exchange-Organization-SCL: 5",
        "X-MS-Exchange-Organization-SCL: 9",
        "X-Forefront-Antispam-Report: CIP:1.2.3.4;CTRY:;LANG:en;SCL:5;SRV:;SFV:SPM;CAT:SPM;",
        "X-Forefront-Antispam-Report: CIP:1.2.3.4;SCL:1;SFV:NSPM;CAT:PHSH;",
        "X-Forefront-Antispam-Report: CIP:1.2.3.4;SCL:6;SFV:NSPM;CAT:NONE;",
        "X-Barracuda-Spam-Flag: YES",
        "X-Proofpoint-Spam-Details: rule=inbound_spam_definite policy=inbound score=100",
        "X-Gm-Spam: 1",
        "X-Gm-Phishy: 1",
        "X-SpamExperts-Class: spam",
        "X-Bogosity: Spam, tests=bogofilter",
        "X-DSPAM-Result: Spam",
    ],
)
def test_a_filter_calls_it_spam(header: str) -> None:
    assert verdict(header) != ""
    assert len(verdict(header)) <= 200


@pytest.mark.parametrize(
    "header",
    [
        "X-Spam-Flag: NO",
        "X-Spam-Status: No, score=-1.1 yes",
        "X-Rspamd-Action: no action",
        "X-Rspamd-Action: greylist",
        "X-Spamd-Result: default: False [1.1 / 6.0]",
        "X-MS-Exchange-Organization-SCL: 1",
        "X-MS-Exchange-Organization-SCL: -1",
        "X-MS-Exchange-Organization-SCL: five",
        "X-Forefront-Antispam-Report: CIP:1.2.3.4;SCL:-1;SFV:SKN;CAT:NONE;",
        "X-Forefront-Antispam-Report: CIP:1.2.3.4;SCL:1;SFV:NSPM;CAT:BULK;",
        "X-Microsoft-Antispam: BCL:7;",
        "X-Proofpoint-Spam-Details: rule=inbound_notspam policy=inbound score=0",
        "X-Gm-Spam: 0",
        "X-Bogosity: Ham",
        "X-DSPAM-Result: Innocent",
        "Subject: X-Spam-Flag: YES",
    ],
)
def test_a_filter_says_nothing_against_it(header: str) -> None:
    assert verdict(header) == ""
