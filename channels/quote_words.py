"""The words by which mail programs introduce a quote: data for `quotes`, by language where it matters."""

from __future__ import annotations

import re

_SEPARATORS = """
原始邮件|原始郵件|邮件原件|郵件原件|原邮件|原郵件|原始信件|原始訊息|原始消息|转发邮件|转发的邮件|转发信息|已转发的邮件|轉寄郵件|轉寄的郵件|轉發郵件
轉寄訊息|轉發訊息|已轉寄|回复的邮件|回覆的郵件|元のメッセージ|転送メッセージ|転送された|転送元
original|original message|original mail|original email|original appointment|forwarded message|forwarded by
replied message|reply message|ursprüngliche nachricht|original-nachricht|originalnachricht|weitergeleitete nachricht
message d'origine|message transféré|mensaje original|mensaje reenviado|messaggio originale
"""
#: What stands between two rows of dashes above a quoted mail.
SEPARATORS = frozenset(words for line in _SEPARATORS.split("\n") for words in line.split("|") if words)
#: Apple Mail's line above a forwarded mail, without dashes.
FORWARDED = (
    "begin forwarded message",
    "开始转发的邮件",
    "以下是转发的邮件",
    "以下為轉寄",
    "開始轉寄",
    "anfang der weitergeleiteten",
)

#: How an attribution ends, before its colon.
_ENDS = """
wrote|writes|写道|寫道|写到|寫到|来信|來信|のメール|書きました|schrieb|a écrit|escribió|ha scritto
schreef|het volgende geschreven|escreveu|skrev|napisał(a)|napisał|написал
"""
ENDS = tuple(words for line in _ENDS.split("\n") for words in line.split("|") if words)
#: Where the verb stands before the name, or between name and date.
INNER = (" schrieb ", " wrote ", " a écrit ", " escribió ", " skrev ", " napisał", " schreef ")
OPENERS = ("on ", "at ", "am ", "le ", "el ", "il ", "op ", "den ", "em ", "在", "於", "于")
#: With what the last line of an attribution can end at all.
CLOSERS = (":", "：", "写道", "寫道")

#: The labels of the headers of a quoted mail, without white space, lower case.
LABELS = {
    kind: frozenset(words.split())
    for kind, words in {
        "from": "发件人 寄件者 寄件人 發件人 发信人 發信人 from 差出人 送信者 von de da från van mittente",
        "date": "发送时间 发件时间 发送日期 日期 时间 已发送 寄件日期 寄件時間 送件日期 傳送時間 發送時間 發送日期 時間"
        " 已傳送 日時 日付"
        " 送信日時 sent senton date gesendet datum envoyé fecha enviado data inviato skickat verzonden",
        "to": "收件人 收件者 收信人 to 宛先 an à para a till aan",
        "cc": "抄送 抄送人 副本 副本抄送 cc kopie",
        "subject": "主题 主旨 主題 标题 標題 subject 件名 betreff objet asunto oggetto ämne onderwerp",
    }.items()
}

#: What telephones and their programs write under a mail.
SENT_FROM = re.compile(
    r"\s*(?:[发發]自(?:我的)?|傳送自我的|传送自我的|寄自我的|[来來]自我的"
    r"|[从從由]我的.{1,20}(?:发送|傳送|發送|寄出)|[从從].{0,20}(?:邮件发送|郵件傳送)"
    r"|(?:获取|取得|下载|下載).{0,16}Outlook|通过.{1,12}(?:邮箱|邮件).{0,8}发送"
    r"|Sent from (?:my |Mail|Outlook|Yahoo|Samsung|the |Windows )|Sent (?:via|with) |Get Outlook for "
    r"|Von meinem .{1,20} gesendet|Envoyé de(?:puis)? mon |Enviado desde mi |Sendt fra min |Skickat från min "
    r"|.{1,20}から送信)",
    re.I,
)
#: Such a line names a device or a program; a person's sentence that begins alike does not, or goes on.
DEVICE = re.compile(r"[A-Za-z]|手机|手機|邮箱|信箱|邮件|郵件|平板|电脑|電腦")
SENTENCE = re.compile(r"[。，？！?!;；]")
