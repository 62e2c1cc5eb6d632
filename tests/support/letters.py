"""Facts of one believable ticket, for the tests of what is written; change what a test is about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from channels.message import Medium
from intake.compose import (
    Acknowledgement,
    Action,
    AgentMail,
    CustomerMail,
    Exchange,
    MailKind,
    NoticeLine,
    NoticeMail,
    Told,
    ToldMail,
    thread_index,
)
from intake.compose_lists import ListGroup, ListMail, ListRow
from intake.mailbytes import File
from routing.words import Kind, NoticeKind, Standing, TargetKind

CANARY = "k7f3q9zt"
NOW = datetime(2026, 11, 23, 6, 10, tzinfo=UTC)  # Monday 14:10 in Taipei
DUE = datetime(2026, 11, 23, 7, 30, tzinfo=UTC)
OPENED = datetime(2026, 11, 23, 6, 2, tzinfo=UTC)

WORDS = """陳小姐您好：

上個月的營業稅申報書我核對了一下，銷項金額好像少算了一張發票（AB-12345678，NT$ 86,400）。
請問 11/15 申報的那份還能更正嗎？需要我補什麼資料？

附上發票影本和我整理的明細。謝謝！

王美玲
美玲商行"""

CARD = (
    ("姓名", "王美玲"),
    ("公司", "美玲商行"),
    ("統一編號", "2468••••"),
    ("語言", "繁體中文"),
    ("上次聯絡", "11月20日（週五）10:12 · 電話"),
    ("其他案件", "#1031 發票申購（等客戶）"),
)

EXCHANGES = (
    Exchange(who="王美玲", at=datetime(2026, 11, 18, 1, 5, tzinfo=UTC), text="請問營業稅申報完成了嗎？"),
    Exchange(
        who="陳怡君",
        at=datetime(2026, 11, 18, 1, 40, tzinfo=UTC),
        text="已於 11 月 15 日完成申報，申報書與繳款書一併寄給您。",
    ),
    Exchange(who="王美玲", at=datetime(2026, 11, 20, 2, 12, tzinfo=UTC), text="收到，謝謝。"),
)

SUGGESTION = (
    "您好，申報後發現漏報銷項發票，可在查獲前自動補報補繳，並加計利息。\n"
    "請提供：一、漏報發票影本；二、原申報書。我們會為您填寫更正申報書。"
)

ACTIONS = (
    Action(typed="！結案", does="回覆並結案"),
    Action(typed="！轉交 姓名", does="交給另一位同仁"),
    Action(typed="！備註", does="只留內部"),
)


def agent_facts(**changes: Any) -> AgentMail:
    facts: dict[str, Any] = {
        "desk_address": "service@firm.example",
        "desk_name": "誠信財稅",
        "agent_name": "陳怡君",
        "agent_address": "chen@firm.example",
        "language": "zh-Hant",
        "timezone": "Asia/Taipei",
        "now": NOW,
        "date": NOW,
        "message_id": "<t.1042.a.1@firm.example>",
        "reply_to": "service+k1abcdefghijklmnopqrstuvwxyz234567@firm.example",
        "references": ("<t.1042@firm.example>",),
        "loop": "desk-7f",
        "canary": CANARY,
        "mail_kind": MailKind.ASSIGNMENT,
        "ticket": 1042,
        "customer_subject": "營業稅申報書少算一張發票",
        "customer_name": "王美玲",
        "customer_contact": "mei@example.com",
        "medium": Medium.EMAIL,
        "kind": Kind.CONSULTATION,
        "topic": "營業稅申報",
        "words": WORDS,
        "standing": Standing.VERIFIED,
        "target": TargetKind.FIRST_RESPONSE,
        "started_at": OPENED,
        "due_at": DUE,
        "why_you": "您負責營業稅，手上的案件也最少",
        "answer_goes_to": (("王美玲", "mei@example.com"),),
        "cc": (("李經理", "li@example.com"),),
        "received_at": OPENED,
        "files": (
            File(name="發票影本.pdf", media_type="application/pdf", content=b"%PDF-1.4 " + b"x" * 121_000),
            File(name="明細.xlsx", media_type="application/vnd.ms-excel", content=b"y" * 18_400),
        ),
        "card": CARD,
        "exchanges": EXCHANGES,
        "suggestion": SUGGESTION,
        "actions": ACTIONS,
        "thread_index": thread_index(OPENED, "service@firm.example", 1042),
    }
    return AgentMail(**(facts | changes))


def customer_facts(**changes: Any) -> CustomerMail:
    facts: dict[str, Any] = {
        "firm": "誠信財稅",
        "desk_address": "service@firm.example",
        "desk_name": "誠信財稅客服",
        "to": ("王美玲", "mei@example.com"),
        "language": "zh-Hant",
        "customer_subject": "營業稅申報書少算一張發票",
        "message_id": "<o.77@firm.example>",
        "date": NOW,
        "in_reply_to": "<c2@example.com>",
        "references": ("<c1@example.com>", "<c2@example.com>"),
        "words": "王小姐您好：\n\n可以更正，請把發票影本寄給我們。\n說明見 https://www.example.com/vat?a=1&b=2 。",
        "author": "陳怡君",
    }
    return CustomerMail(**(facts | changes))


def ack_facts(**changes: Any) -> Acknowledgement:
    facts: dict[str, Any] = {
        "firm": "誠信財稅",
        "desk_address": "service@firm.example",
        "desk_name": "誠信財稅客服",
        "to": ("王美玲", "mei@example.com"),
        "language": "zh-Hant",
        "customer_subject": "營業稅申報書少算一張發票",
        "message_id": "<k.77@firm.example>",
        "date": NOW,
        "in_reply_to": "<c2@example.com>",
        "references": ("<c1@example.com>", "<c2@example.com>"),
        "ticket": 1042,
        "due_at": DUE,
        "now": NOW,
        "timezone": "Asia/Taipei",
        "standing": Standing.VERIFIED,
    }
    return Acknowledgement(**(facts | changes))


def notice_lines() -> tuple[NoticeLine, ...]:
    return (
        NoticeLine(
            ticket=1042,
            customer_name="王美玲",
            medium=Medium.EMAIL,
            notice=NoticeKind.SUPERVISOR,
            target=TargetKind.FIRST_RESPONSE,
            due_at=NOW - timedelta(minutes=4),
            holder="陳",
            topic="營業稅申報",
            reason="午休無人接手",
        ),
        NoticeLine(
            ticket=1050,
            customer_name="Acme Ltd.",
            medium=Medium.CHAT,
            notice=NoticeKind.WARN_80,
            target=TargetKind.NEXT_RESPONSE,
            due_at=NOW + timedelta(minutes=12),
            holder="",
        ),
    )


def _to_agent() -> dict[str, Any]:
    facts = agent_facts()
    names = ("desk_address", "desk_name", "agent_name", "agent_address", "language", "timezone", "now", "date")
    names += ("message_id", "reply_to", "references", "loop", "canary")
    return {name: getattr(facts, name) for name in names}


def notice_facts(**changes: Any) -> NoticeMail:
    return NoticeMail(**(_to_agent() | {"lines": notice_lines()} | changes))


def told_facts(**changes: Any) -> ToldMail:
    own: dict[str, Any] = {
        "told": Told.INTERNAL_SURVIVED,
        "ticket": 1042,
        "subject_name": "王美玲",
        "customer_subject": "營業稅申報書少算一張發票",
        "would_have_left": "您好，可以更正。\n統一編號 2468••••",
    }
    return ToldMail(**(_to_agent() | own | changes))


def list_facts(**changes: Any) -> ListMail:
    """A list with everything that one can hold."""
    rows = (
        ListRow(
            lead="09:40",
            lead_under="剩 40 分",
            colour="amber",
            ticket=1042,
            show="mailto:service@firm.example?subject=!show%201042",
            name="王美玲",
            under=("郵件 · 營業稅申報 · 回覆",),
        ),
        ListRow(lead="11月25日（週三）11:00", lead_under="剩 2 天 2 小時", colour="calm", ticket=1050, name="x" * 60),
        ListRow(lead="今天 08:00", under=("要寄給客戶，回覆那封信，第一行寫「！寄出」。",), quoted="y" * 300),
    )
    table = (("管道", "到期", "準時", "逾時", "未到期"), ("support-mail", "40", "38 (95 %)", "2", "3"))
    own: dict[str, Any] = {
        "first": "今天 12 件，3 件 10:00 前",
        "groups": (
            ListGroup(caption="等您處理", columns=("期限", "案件"), rows=rows, below="另有 3 件沒有列出。"),
            ListGroup(caption="首次回覆", table=table),
        ),
        "last": "點案號，就會收到那一件。",
    }
    return ListMail(**(_to_agent() | own | changes))
