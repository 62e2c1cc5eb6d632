"""The words by which mail programs introduce a quote: data for `quotes`, by language where it matters."""

from __future__ import annotations

import re

_SEPARATORS = """
原始邮件|原始郵件|邮件原件|郵件原件|原邮件|原郵件|原始信件|原始訊息|原始消息|回复的邮件|回覆的郵件|回复的原邮件|元のメッセージ
original|original message|original mail|original email|original appointment|replied message|reply message
ursprüngliche nachricht|ursprüngliche mail|original-nachricht|originalnachricht
message d'origine|message original|mensaje original|mensagem original|messaggio originale
"""
_FORWARDS = """
转发邮件|转发的邮件|转发的消息|转发信息|转发邮件信息|已转发的邮件|轉寄郵件|轉寄的郵件|轉發郵件|轉發的郵件|轉寄訊息|轉發訊息|轉寄的訊息|已轉寄|已轉寄郵件
転送メッセージ|転送された|転送元
forwarded message|forwarded mail|forwarded by|weitergeleitete nachricht
message transféré|mensaje reenviado|mensagem encaminhada|messaggio inoltrato
"""


def _list(words: str) -> frozenset[str]:
    return frozenset(one for line in words.split("\n") for one in line.split("|") if one)


#: What stands between two rows of dashes above a mail that is passed on.
FORWARDS = _list(_FORWARDS)
#: What stands between two rows of dashes above a quoted mail, or one passed on.
SEPARATORS = _list(_SEPARATORS) | FORWARDS
#: Apple Mail's line above a forwarded mail, without dashes.
FORWARDED = (
    "begin forwarded message",
    "开始转发的邮件",
    "以下是转发的邮件",
    "以下為轉寄",
    "開始轉寄",
    "轉寄的郵件",
    "转发的邮件",
    "転送されたメッセージ",
    "anfang der weitergeleiteten",
    "début du message",
    "inizio messaggio inoltrato",
    "inicio del mensaje reenviado",
)
#: The subject of a mail that somebody passes on; a reply to such a mail begins with "Re:".
FORWARD_SUBJECT = re.compile(r"\s{0,3}(?:fwd?|wg|tr|rv|enc|i|转发|轉寄|轉發|转寄|転送)\s{0,3}[:：]", re.I)

#: How an attribution ends, before its colon.
ENDS = tuple(
    _list("""
wrote|writes|写道|寫道|写到|寫到|来信|來信|のメール|書きました|님이 작성
schrieb|geschrieben|a écrit|escribió|ha scritto|schreef|escreveu|skrev|napisał(a)|napisał|написал
""")
)
#: Where the verb stands before the name, or between name and date.
INNER = (" schrieb ", " wrote ", " a écrit ", " escribió ", " skrev ", " napisał", " schreef ")
OPENERS = ("on ", "at ", "am ", "le ", "el ", "il ", "op ", "den ", "em ", "dnia ", "在", "於", "于")
#: With what the last line of an attribution can end at all.
CLOSERS = (":", "：", "写道", "寫道", "のメール")

#: The labels of the headers of a quoted mail, without white space, lower case.
LABELS = {
    name: kind
    for kind, names in {
        "from": "发件人 发信人 发送人 寄件者 寄件人 發件人 發信人 發送人 自 差出人 送信者 送信元"
        " from von absender de da van från fra mittente",
        "date": "发送时间 发件时间 发送日期 日期 时间 已发送"
        " 寄件日期 寄件時間 送件日期 傳送時間 傳送日期 發送時間 發送日期 時間 已傳送 已傳送時間 日時 日付 送信日時"
        " sent senton sentat date gesendet gesendetam datum envoyé envoyéle fecha enviado enviadoel"
        " enviadaem enviadoem data inviato inviatoil skickat sendt verzonden",
        "to": "收件人 收件者 收信人 接收人 到 宛先 to an empfänger à para per a till til aan",
        "cc": "抄送 抄送人 副本 副本抄送 cc kopie copie ccn",
        "subject": "主题 主旨 主題 标题 標題 件名 subject betreff objet asunto assunto oggetto ämne emne onderwerp",
    }.items()
    for name in names.split()
}

#: What telephones and their programs write under a mail.
SENT_FROM = re.compile(
    r"\s*(?:[发發]自(?:我的)?|傳送自我的|传送自我的|寄自我的|[来來]自我的"
    r"|[從从由].{1,40}(?:[发發]送|傳送|传送|寄出)|签名由.{1,12}定制|簽名由.{1,12}定制"
    r"|(?:获取|取得|下载|下載).{0,60}Outlook|通过.{1,12}(?:邮箱|邮件).{0,8}发送"
    r"|[(<]{0,2}Sent (?:via |with |by |from (?:my |a |Mail|Outlook|Yahoo|Samsung|the |Windows |mobile|\[))"
    r"|Get \[?Outlook for |From my |Gesendet (?:von|mit) |Von meinem .{1,20} gesendet"
    r"|Diese Nachricht wurde von mein.{1,60} gesendet|Von .{2,40} gesendet"
    r"|Outlook für .{2,10} beziehen|Holen Sie sich Outlook"
    r"|Envoyé (?:de(?:puis)? mon |à partir d)|Enviado (?:desde (?:mi )?|do meu )|Inviato da|Verzonden (?:met|vanaf) "
    r"|Sendt fra min |Skickat från min |.{1,30}から送信|.{0,10}Outlook .{0,20}を入手)",
    re.I,
)
#: Such a line names a device or a program; a person's sentence that begins alike does not, or goes on.
DEVICE = re.compile(r"[A-Za-z]|手机|手機|邮箱|信箱|邮件|郵件|平板|电脑|電腦")
SENTENCE = re.compile(r"[。，？！?!;；]")

#: A few words that say that the answers stand further down, where no mark shows them.
BELOW = re.compile(
    r"\b(?:see|find|answer\w*|repl(?:y|ies)|comment\w*|respon\w+|remarks?|notes?)\b.{0,60}?"
    r"\b(?:below|inline|in-line|in (?:red|blue|green))\b|\binline\b|\bin-line\b|\bbelow in (?:red|blue|green)\b"
    r"|(?:见|見|如|在|详见|詳見).{0,6}(?:下方|下面|下文|原文|正文|信中|文中|内文|內文)"
    r"|(?:回[复覆復]|答[复覆]|说明|說明|意见|意見|補充|补充)如下|逐[條条項项點点].{0,4}(?:回|答)"
    r"|(?:红|紅|蓝|藍|绿|綠)色?(?:字|文字|部分|标|標)"
    r"|下記.{0,10}(?:回答|返信|ご覧|参照|の通り|のとおり)|以下に.{0,10}(?:回答|返信)"
    r"|(?:赤|青)(?:字|文字)|インライン|文中に"
    r"|\b(?:siehe|antwort\w*|anmerkung\w*|kommentar\w*)\b.{0,40}?\b(?:unten|im text|in rot|in blau)\b"
    r"|\bvoir (?:ci-dessous|mes réponses)",
    re.I,
)
#: A greeting, and no word more.
GREETING = re.compile(
    r"\s*(?:(?:hi|hello|hey|dear|hallo|liebe[rs]?|sehr geehrte[rs]?|guten (?:tag|morgen|abend)|bonjour|hola|ciao|olá"
    r"|good (?:morning|afternoon|evening)|buongiorno)(?:(?: [^\s,.:?!]{1,20}){0,4}[,.:!，：]| [^\s,.:?!]{1,20})?"
    r"|[^\s，。！？]{0,10}(?:您好|你好|様|さま|こんにちは|お世話になって(?:おり|い)ます)[,，、:：。.！!]?"
    r"|(?:親愛的|亲爱的|尊敬的|敬啟者|敬启者)[^\s，。！？:：]{0,12}[,，:：]?)\s*",
    re.I,
)
