"""How mail servers of the world word a report, where they follow no standard.

Pure tables and the questions asked of them. All expressions are linear: no repeat stands within a repeat.
Sources: the texts of sendmail, qmail, Exim, Postfix, Exchange in its languages, Domino, Courier, the big Chinese,
Japanese and Taiwanese providers, and gateways to telephones.
"""

from __future__ import annotations

import re

#: Local parts that no person has.
_DAEMON = re.compile(
    r"(?:mailer[-_.]?daemon|mail[-_.]?daemon|mdaemon|daemon|mail[-_.]?delivery[-_.]?(?:sub)?system|mailsystem"
    r"|microsoftexchange[0-9a-f]{8,40})(?:[-_.+=\d][\w.+=-]{0,80})?(?:[@>]|$)",
    re.I,
)
#: Local parts that a person who looks after a small firm's mail may write from.
_CARETAKER = re.compile(
    r"(?:poo?st[-_.]?master|mail-?admin|sys-?admin|administrator)(?:[-_.+=\d][\w.+=-]{0,80})?(?:@|$)", re.I
)
_DAEMON_NAME = re.compile(
    r"\W{0,3}(?:mail(?: ?server)? delivery (?:sub)?system|mailer[- ]daemon|(?:mmsc )?ndr administrator"
    r"|internet mail delivery|系统退信|系統退信|退信|郵件傳遞系統|邮件传递系统|郵件系統管理員|邮件系统管理员)\W{0,3}$",
    re.I,
)
_NO_REPLY = re.compile(r"(?:no|do[-_.]?not)[-_.]?reply[\w.+=-]{0,80}@", re.I)

FAILED = re.compile(
    r"undeliver|delivery (?:status notification|(?:has |to .{1,100} )?fail|error|problem|report|incomplete|failure)"
    r"|fail(?:ed|ure) (?:notice|delivery|to deliver|addresses)|returned mail"
    r"|return(?:ed|ing)(?: message)? to sender|bounced?\b"
    r"|mail (?:could not|delivery|system error|error|fail)|(?:could|can)(?: ?not|n't) be (?:delivered|sent)"
    r"|not (?:be )?delivered|unable to deliver|n[o']t able to deliver|non[- ]?deliver|did not reach|trouble delivering"
    r"|error (?:sending|delivering) your (?:mail|message)|error has occurred while attempting to deliver"
    r"|message (?:delivery|not delivered|undelivered|could)|was rejected|transcript of session"
    r"|unknown user|user unknown|no such user|(?:invalid|unknown) (?:user )?(?:address|recipient)"
    r"|permanent (?:fatal )?error"
    r"|退信|退回|[无無]法(?:投[递遞]|[传傳][递遞送]|送[达達]|[发發]送|寄[达達送]|[递遞]送)"
    r"|(?:投[递遞]|[发發]送|[传傳]送|寄送|[递遞]送)失[败敗]|未能?(?:投[递遞]|送[达達]|[传傳][递遞送])"
    r"|收件人不存在|不存在的收件人|[邮郵]箱不存在|用[户戶]不存在"
    r"|配信(?:不能|できません|エラー)|送信できません|メールエラー|送信に失敗|配信に失敗"
    r"|unzustellbar|nicht zugestellt|non remis|no se ha podido entregar|n'a pas pu être (?:remis|distribué)",
    re.I,
)
DELAYED = re.compile(
    r"delay|still (?:being retried|undelivered|trying)|will (?:be retried|keep trying|continue to|retry)"
    r"|not yet been delivered|延[迟遲誤误]|暂未|[仍會会][在将將]?(?:尝试|嘗試|继续|繼續|重试|重試)|まだ配信",
    re.I,
)
#: Exchange names the report by one word before the subject of what came back.
_EXCHANGE = re.compile(
    r"(?:undeliverable|unzustellbar|non remis|non distribuable|no se puede entregar|配信不能"
    r"|未[传傳][递遞送]|未送[达達]|[无無]法[传傳投][递遞送]|[无無]法送[达達])(?:的主[旨题題])?\s{0,3}[:：]",
    re.I,
)
_PASSED_ON = re.compile(r"\s{0,3}(?:fwd?|wg|转发|轉寄|轉發|转寄|re|aw|回[复覆復]|答[复覆])\s{0,3}[:：]", re.I)
STATUS = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?![\d.])")
_SMTP_CODE = re.compile(r"(?:^|[\s(:;>])(?:4[25]\d|5[0-7]\d)[ -]{1,3}(?=[<#\w])", re.M)


def is_daemon(sender: str, name: str) -> bool:
    """The sender is a mail system, by an address or a name that no person has."""
    # "Mail Delivery Subsystem <MAILER-DAEMON>" has no address, so that all of it is the name.
    name, _, bare = name.partition("<")
    return bool(
        _DAEMON.match(sender)
        or (not sender and (_DAEMON.match(name) or _DAEMON.match(bare)))
        or _DAEMON_NAME.match(name)
    )


def is_caretaker(sender: str) -> bool:
    """postmaster@ and the like: mostly a machine, but somebody may read and write there."""
    return bool(_CARETAKER.match(sender))


def is_no_reply(sender: str) -> bool:
    return bool(_NO_REPLY.match(sender))


def is_passed_on(subject: str) -> bool:
    """Somebody answers or forwards: the words of failure in the subject are another's."""
    return bool(_PASSED_ON.match(subject))


def names_a_failure(subject: str) -> bool:
    return bool(FAILED.search(subject) or _EXCHANGE.match(subject))


def has_code(words: str) -> bool:
    """A server's reply is quoted: RFC 3463 status, or a line that begins with 4xx or 5xx (RFC 5321 §4.2)."""
    return bool(STATUS.search(words) or _SMTP_CODE.search(words))


def names_a_delay(subject: str) -> bool:
    """It is late and still tried; not where Exchange quotes a subject that speaks of delays."""
    return bool(DELAYED.search(subject)) and not _EXCHANGE.match(subject)
