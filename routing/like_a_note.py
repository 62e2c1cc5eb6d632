"""Like a note: does the first line of an answer read as if the words below were for colleagues?

The agent forgot the mark, or thinks that a heading will do. Asking him costs a minute, a note that a customer reads
costs a customer: so whatever begins so is asked about, but for compounds and whole sentences that customers are told
("備註欄請填統一編號", "Note that the deadline for the annual return is 31 May.").
"""

from __future__ import annotations

import re

from routing.folding import UNSEEN, fold

MAX_LINE = 500  # characters that are looked at
SENTENCE = 40  # characters: from there on an English line that goes on behind its first word is a sentence

#: Marks, brackets and pictures that may stand before the word: "【內部】", "**Note:**", "🔒 internal".
_BEFORE = rf"(?:[\W_]|[{UNSEEN}])*"
_CHINESE = re.compile(
    _BEFORE + r"(?:內部|内部|備註|备注|備忘|备忘|僅供?內|仅供?内|僅限內|仅限内|只限內|只限内|限內部|限内部"
    r"|[註注](?=[:：])|私下|內用(?=\W|$)|内用(?=\W|$)"
    r"|給(?:同事|同仁|主管|組長)|给(?:同事|同仁|主管|组长)|(?:各位)?(?:同事|同仁)(?:們|们)?(?=\W|$)"
    r"|(?:先|請|请)?(?:別|别|勿|不要|不用|不必)(?:寄|發|发|回覆?|回复?|轉|转)(?:給|给)?(?:客戶|客户|出)"
    r"|(?:請|请)?勿(?:外傳|外传|外流|寄|發|发|轉|转)|(?:別|别|不要)(?:寄|發|发)(?=\W|$|給|给))"
)
#: What those words begin in what customers are told.
_COMPOUND = re.compile(
    _BEFORE + r"(?:(?:內部|内部)(?:稽核|審計|审计|控制|控管|管理|人員|人员|員工|员工|交易|往來|往来|規定|规定|規章|规章"
    r"|訓練|培训|流程|憑證|凭证|轉帳|转账|收益|報酬|报酬|組織|组织|單位|单位|結構|结构)"
    r"|(?:備註|备注)(?:欄|栏|處|处|的|事項|事项|說明|说明|一欄|一栏)|備忘錄|备忘录)"
)
_ENGLISH = re.compile(
    _BEFORE + r"(?:(fyi|for your information)|(notes?|internal|private|confidential|memo)"
    r"|for internal|not for (?:the )?(?:customer|client)|do not (?:send|forward)|don['’]?t (?:send|forward)"
    r"|(?:team|staff|colleagues) only|for (?:colleagues|the team|my colleagues)|off the record|between us)"
    r"\b(?P<more>.*)"
)
_MENTION = re.compile(rf"(?:[\s{UNSEEN}])*[@＠]\w")  # "@陳 請看": nobody calls a customer so


def reads_like_a_note(first_line: str) -> bool:
    """Whether the author should be asked. Linear in the line."""
    line = fold(first_line[:MAX_LINE])
    if _MENTION.match(line):
        return True
    if _CHINESE.match(line):
        return _COMPOUND.match(line) is None
    english = _ENGLISH.match(line)
    if english is None:
        return False
    goes_on = english[2] is not None and re.match(r"\s+\w", english["more"]) is not None
    return not (goes_on and len(line.strip()) >= SENTENCE)
