"""What a relay's refusal is about: one mail, or the account that every mail leaves by."""

from __future__ import annotations

import pytest

from channels.adapter import AccountRefused, ChannelSlowed, LoginRefused, PermanentFailure, TemporaryFailure
from channels.smtp import failure_of
from channels.smtp_words import About, about


@pytest.mark.parametrize(
    ("code", "words", "expected"),
    [
        # too fast
        (432, "4.3.2 Concurrent connections limit exceeded. Visit https://aka.ms/concurrent_sending.", ChannelSlowed),
        (432, "4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded", ChannelSlowed),
        (451, "4.7.500 Server busy. Please try again later from [192.0.2.1].", ChannelSlowed),
        (452, "4.5.3 Too many recipients", ChannelSlowed),
        (421, "4.7.28 Gmail has detected an unusual rate of mail originating from your IP", ChannelSlowed),
        (421, "4.7.28 later", ChannelSlowed),
        (454, "4.7.0 Too many login attempts, please try again later. gsmtp", ChannelSlowed),
        (450, "4.2.1 Peak SMTP relay limit exceeded for customer.", ChannelSlowed),
        (554, "DT:SPM 163 smtp11,D8CowAB,1 http://mail.163.com/help/help_spam_16.htm", ChannelSlowed),
        (451, "MI:SFQ 163 smtp3", ChannelSlowed),
        (421, "HL:ICC 163 smtp5", ChannelSlowed),
        (550, "Connection frequency limited. http://service.mail.qq.com/", ChannelSlowed),
        (421, "Too many messages in this session", ChannelSlowed),
        (450, "4.7.1 Error: too much mail from 192.0.2.1", ChannelSlowed),
        (550, "5.7.1 Rate limit reached, slow down", ChannelSlowed),
        (450, "您的发送频率过高", ChannelSlowed),
        # not allowed, at all or for today
        (550, "5.4.5 Daily user sending quota exceeded. gsmtp", AccountRefused),
        (550, "5.4.5 Daily user sending limit exceeded.", AccountRefused),
        (554, "5.2.0 STOREDRV.Submission.Exception:SendAsDeniedException.MapiExceptionSendAsDenied", AccountRefused),
        (554, "5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException", AccountRefused),
        (554, "5.2.2 mailbox full; STOREDRV.Submission.Exception:QuotaExceededException", AccountRefused),
        (550, "5.1.8 Access denied, bad outbound sender AS(42004)", AccountRefused),
        (550, "5.7.60 SMTP; Client does not have permissions to send as this sender", AccountRefused),
        (501, "mail from address must be same as authorization user", AccountRefused),
        (553, "Mail from must equal authorized user", AccountRefused),
        (554, "MI:SPB 163 smtp7", AccountRefused),
        # about the login
        (530, "5.7.57 Client not authenticated to send mail.", LoginRefused),
        # about one mail or one recipient, however alike the words
        (450, "4.2.1 The user you are trying to contact is receiving mail too quickly.", TemporaryFailure),
        (452, "4.2.2 The email account that you tried to reach is over quota.", TemporaryFailure),
        (552, "5.2.2 mailbox full", PermanentFailure),
        (450, "4.7.1 <wang@x.example>: Recipient address rejected: Greylisted, rate limit", TemporaryFailure),
        (450, "4.1.1 <w@x.example>: unverified address: host mx.x.example said: 421 rate limit", TemporaryFailure),
        (550, "5.1.1 <too.many.messages@x.example> no such user", PermanentFailure),
        (550, "5.1.1 ratelimit@throttling.example: no such user", PermanentFailure),
        (550, "5.1.1 user unknown", PermanentFailure),
        (550, "5.7.1 Message rejected as spam", PermanentFailure),
        (554, "5.7.1 15.1.80 is not 5.1.8.9", PermanentFailure),
        (451, "4.3.0 later", TemporaryFailure),
        (421, "4.4.2 timeout", TemporaryFailure),
    ],
)
def test_whom_a_refusal_is_about(code: int, words: str, expected: type[Exception]) -> None:
    assert type(failure_of(code, words, "message")) is expected


def test_words_without_end_are_read_in_no_time() -> None:
    for words in ("<" * 200_000 + "@" * 200_000, "a" * 2_000_000, "a@" * 1_000_000):
        assert about(words) is About.MAIL
