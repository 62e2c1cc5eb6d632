"""Reasons: why something was decided, as a code for machines and a sentence for people.

Every decision carries its reasons into the event log. `intake explain` and `intake show --why` print the
sentences of the table below; a fact in braces is filled from the reason's data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Fact = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Reason:
    """One step of a decision. `words` is free text that fits no table, in the desk's language."""

    code: str  # a key of SENTENCES
    words: str = ""
    data: Mapping[str, Fact] = field(default_factory=dict, hash=False)


def because(code: str, **data: Fact) -> Reason:
    """A reason whose sentence stands in the table."""
    return Reason(code, data=data)


#: code -> (English, zh-Hant, zh-Hans)
SENTENCES: Mapping[str, tuple[str, str, str]] = {
    # filters
    "own_mark": ("It carries our own loop mark.", "信上有本系統的迴圈標記。", "信上有本系统的回环标记。"),
    "own_message_id": ("We sent this mail ourselves.", "這封信是本系統寄出的。", "这封信是本系统发出的。"),
    "forged_mark": ("It carries a loop mark that is not ours.", "迴圈標記不是本系統的。", "回环标记不是本系统的。"),
    "report": (
        "It reports on a mail of ours ({kind}).",
        "這是郵件投遞報告（{kind}）。",
        "这是邮件投递报告（{kind}）。",
    ),
    "auto_submitted": ("A machine wrote it ({why}).", "這是自動信件（{why}）。", "这是自动邮件（{why}）。"),
    "null_sender": ("Its return path is empty.", "信封寄件者是空的。", "信封发件人是空的。"),
    "mailer_daemon": ("A mail server wrote it.", "這是郵件伺服器寄的。", "这是邮件服务器发的。"),
    "out_of_office": ("It reads as an absence note.", "內容是自動回覆或休假通知。", "内容是自动回复或休假通知。"),
    "spam": (
        "The provider calls it spam ({verdict}).",
        "郵件商判為垃圾信（{verdict}）。",
        "邮件商判为垃圾邮件（{verdict}）。",
    ),
    "peer_cap": (
        "{count} messages came from this sender within an hour; more than {cap} get no automatic answer.",
        "一小時內來了 {count} 封，超過 {cap} 封就不自動回覆。",
        "一小时内来了 {count} 封，超过 {cap} 封就不自动回复。",
    ),
    "asked_no_reply": ("It asks for no automatic reply.", "信上要求不要自動回覆。", "信上要求不要自动回复。"),
    "no_reply_address": ("Nobody reads the sender's address.", "寄件地址不收信。", "发件地址不收信。"),
    "own_address": (
        "It claims to come from our own address.",
        "寄件者寫的是我們自己的地址。",
        "发件人写的是我们自己的地址。",
    ),
    "person": ("A person wrote it.", "這是人寫的。", "这是人写的。"),
    "junk_folder": (
        "It lay in the junk folder, and nobody here knows the sender.",
        "信在垃圾信匣裡，寄件者也不是認識的人。",
        "邮件在垃圾邮件箱里，发件人也不是认识的人。",
    ),
    "from_junk": (
        "It lay in the junk folder: brought in because we know the sender, or it answers us.",
        "信原本在垃圾信匣；因為認識寄件者，或是回覆我們的信，所以受理。",
        "邮件原本在垃圾邮件箱；因为认识发件人，或是回复我们的邮件，所以受理。",
    ),
    "marked_sender": (
        "An agent called this sender junk.",
        "專員已把這個寄件者標為垃圾信。",
        "坐席已把这个发件人标为垃圾邮件。",
    ),
    # identity
    "evidence": (
        "{evidence} shows that {agent} wrote it.",
        "{evidence} 證明是 {agent} 寫的。",
        "{evidence} 证明是 {agent} 写的。",
    ),
    "probe": (
        "It is a test mail of our own: what became of its header is noted.",
        "這是系統自己寄的測試信，只記錄信上的標記有沒有被拿掉。",
        "这是系统自己发的测试邮件，只记录邮件上的标记有没有被去掉。",
    ),
    "bound": (
        "It carries the code that was mailed to {agent}: this Telegram account is his from now on.",
        "這是寄給 {agent} 的驗證碼：這個 Telegram 帳號從此是他的。",
        "这是发给 {agent} 的验证码：这个 Telegram 账号从此是他的。",
    ),
    "binding_refused": (
        "It carries a code for binding an account that does not count ({why}).",
        "綁定帳號的驗證碼無效（{why}）。",
        "绑定账号的验证码无效（{why}）。",
    ),
    "enrolment": (
        "It answers the welcome of {agent} ({result}).",
        "這是 {agent} 對歡迎信的回覆（{result}）。",
        "这是 {agent} 对欢迎邮件的回复（{result}）。",
    ),
    "claims_agent": (
        "It says it is from {agent}, and nothing proves that.",
        "寄件者寫著 {agent}，但沒有任何證明。",
        "发件人写着 {agent}，但没有任何证明。",
    ),
    "several_from": ("It has {count} senders in From.", "From 裡有 {count} 個寄件者。", "From 里有 {count} 个发件人。"),
    "name_claims": (
        "The display name shows {address}, which is not the sender.",
        "顯示名稱寫著 {address}，但不是真正的寄件者。",
        "显示名称写着 {address}，但不是真正的发件人。",
    ),
    "vouched": (
        "{by} vouches for the sender ({method}).",
        "{by} 確認了寄件者（{method}）。",
        "{by} 确认了发件人（{method}）。",
    ),
    "via_form": (
        "A web form of the firm sent it: what was typed as the sender is not proven.",
        "這是官網表單寄來的，填寫的地址未經驗證。",
        "这是官网表单发来的，填写的地址未经验证。",
    ),
    "not_vouched": ("Nobody vouches for the sender.", "沒有人能確認寄件者。", "没有人能确认发件人。"),
    "lookalike": ("{domain} resembles {known}.", "{domain} 很像 {known}。", "{domain} 很像 {known}。"),
    # what agents pass on, begin, or answer past us
    "passed_on": (
        "{agent} passed it on; nothing proves whose it is.",
        "這封信是 {agent} 轉來的，寄件者未經驗證。",
        "这封邮件是 {agent} 转来的，发件人未经验证。",
    ),
    "passed_on_his": (
        "{agent} passed it on himself.",
        "這封信是 {agent} 自己轉來的。",
        "这封邮件是 {agent} 自己转来的。",
    ),
    "passed_on_before": (
        "An agent had passed on this very mail: #{ticket}.",
        "這封信專員已經轉來過：#{ticket}。",
        "这封邮件坐席已经转来过：#{ticket}。",
    ),
    "passed_on_doubt": (
        "It was passed on, and it is not clear whose it is or from when ({why}).",
        "這封信是轉來的，看不出原寄件者或時間（{why}）。",
        "这封邮件是转来的，看不出原发件人或时间（{why}）。",
    ),
    "started_by": (
        "{agent} wrote to the customer first.",
        "{agent} 先寫信給客戶。",
        "{agent} 先写信给客户。",
    ),
    "past_us_reference": (
        "It answers a mail of #{ticket}, past the desk.",
        "這是直接寄給客戶的回覆，屬於 #{ticket}。",
        "这是直接发给客户的回复，属于 #{ticket}。",
    ),
    "past_us_subject": (
        "It went to the customer of #{ticket}, his only open one, under its subject.",
        "寄給 #{ticket} 的客戶，主旨相同，也是他唯一未結的案件。",
        "发给 #{ticket} 的客户，主题相同，也是他唯一未结的工单。",
    ),
    "past_us_new": (
        "It belongs to no ticket of those it was sent to.",
        "收件人沒有相符的案件。",
        "收件人没有相符的工单。",
    ),
    "own_sent": (
        "The desk sent it: a copy of our own mail.",
        "這是系統自己寄出的信的備份。",
        "这是系统自己发出的邮件的副本。",
    ),
    "not_a_persons": (
        "A machine wrote it: it counts as no answer.",
        "這是自動寄出的信，不算回覆。",
        "这是自动发出的邮件，不算回复。",
    ),
    "not_the_desks": (
        "It lay in the Sent folder, and neither the desk nor an agent is its sender.",
        "信在寄件備份裡，但寄件者不是客服信箱，也不是專員。",
        "邮件在已发送里，但发件人不是客服邮箱，也不是坐席。",
    ),
    "no_ticket_of_theirs": (
        "Somebody wrote it in the desk's name, to nobody who has a ticket that it fits.",
        "有人用客服信箱寄出，但收件人沒有相符的案件。",
        "有人用客服邮箱发出，但收件人没有相符的工单。",
    ),
    # threads
    "joined_token": (
        "It was sent to the ticket's own address.",
        "寄到這個案件的專用地址。",
        "发到这个工单的专用地址。",
    ),
    "joined_in_reply_to": (
        "It answers a mail of #{ticket}.",
        "這是 #{ticket} 來往信件的回覆。",
        "这是 #{ticket} 往来邮件的回复。",
    ),
    "joined_references": (
        "It refers to a mail of #{ticket}.",
        "信中引用了 #{ticket} 的信件。",
        "信中引用了 #{ticket} 的邮件。",
    ),
    "joined_subject_number": (
        "Its subject names #{ticket}, and the verified sender belongs to it.",
        "主旨寫著 #{ticket}，寄件者也確認是該案客戶。",
        "主题写着 #{ticket}，发件人也确认是该工单客户。",
    ),
    "joined_session": ("It belongs to the same chat.", "同一個線上對話。", "同一个在线对话。"),
    "joined_call": ("It is the same call.", "同一通電話。", "同一通电话。"),
    "joined_caller": (
        "The same number called before: #{ticket}.",
        "同一號碼先前來電：#{ticket}。",
        "同一号码先前来电：#{ticket}。",
    ),
    "number_alone": (
        "The subject names #{ticket}; a number alone joins nothing.",
        "主旨寫著 #{ticket}，只憑號碼不併案。",
        "主题写着 #{ticket}，只凭号码不并案。",
    ),
    "stranger": (
        "It refers to #{ticket}, but the sender does not belong to it: an agent decides.",
        "信中引用 #{ticket}，但寄件者不是該案的人，由專員決定。",
        "信中引用 #{ticket}，但发件人不是该工单的人，由坐席决定。",
    ),
    "long_closed": (
        "#{ticket} was closed {days} days ago: a new ticket points at it.",
        "#{ticket} 已結案 {days} 天，另開新案並註明。",
        "#{ticket} 已结案 {days} 天，另开新工单并注明。",
    ),
    "nothing_to_join": ("It belongs to no earlier ticket.", "沒有相關的舊案。", "没有相关的旧工单。"),
    # guard
    "survived": ("Internal text would have left: {what}.", "內部內容會外流：{what}。", "内部内容会外泄：{what}。"),
    "foreign_quote": (
        "It quotes words that are not the customer's.",
        "引用了不是客戶說的話。",
        "引用了不是客户说的话。",
    ),
    "words_below": (
        "Something was written below our line ({lines} lines) and would be lost.",
        "我們的分隔線以下還有新寫的 {lines} 行，直接寄出會漏掉。",
        "我们的分隔线以下还有新写的 {lines} 行，直接发出会漏掉。",
    ),
    "attachment_unsafe": (
        "{name} may contain internal mail.",
        "{name} 可能夾帶內部信件。",
        "{name} 可能夹带内部邮件。",
    ),
    "attachment_dropped": ("{name} is not sent ({why}).", "{name} 不寄出（{why}）。", "{name} 不发出（{why}）。"),
    "masked": (
        "{lines} lines of the agent's own signature were taken out.",
        "已拿掉專員簽名檔 {lines} 行。",
        "已去掉坐席签名 {lines} 行。",
    ),
    "masked_contacts": (
        "The agent's own address or number stood in the words {count} times: the firm's stands there.",
        "內文裡專員自己的地址或電話有 {count} 處，已改成公司的。",
        "正文里坐席自己的地址或电话有 {count} 处，已改成公司的。",
    ),
    "signature_cut": (
        "The agent's own signature ({lines} lines) was left out: the firm's stands there.",
        "專員自己的簽名檔 {lines} 行未寄出，由公司的署名代替。",
        "坐席自己的签名 {lines} 行未发出，由公司的落款代替。",
    ),
    "empty_reply": ("There is nothing to send.", "沒有可寄出的內容。", "没有可发出的内容。"),
    # rules
    "rule": ("Rule {rule} applies.", "符合規則「{rule}」。", "符合规则“{rule}”。"),
    "rule_channel": ("… it came by {value}.", "…來自 {value}。", "…来自 {value}。"),
    "rule_word": ("… it says {value}.", "…提到「{value}」。", "…提到“{value}”。"),
    "rule_sender": ("… it is from {value}.", "…寄件者是 {value}。", "…发件人是 {value}。"),
    "topic": (
        "Topic {topic}, {points} points: {words}.",
        "主題 {topic}，{points} 分：{words}。",
        "主题 {topic}，{points} 分：{words}。",
    ),
    "topic_weighed": (
        "Topic {topic} (certain to {confidence}), above all by: {words}.",
        "主題 {topic}（把握 {confidence}），主要看：{words}。",
        "主题 {topic}（把握 {confidence}），主要看：{words}。",
    ),
    "learned_from": (
        "… as agents put it right on {tickets}.",
        "…這是從專員的更正學來的：{tickets}。",
        "…这是从坐席的更正学来的：{tickets}。",
    ),
    "complaint_strong": (
        "It is clearly a complaint.",
        "這很明確是客訴。",
        "这很明确是投诉。",
    ),
    "complaint_weak": (
        "It may be a complaint: nothing was apologised for, a certified colleague looks at it first.",
        "可能是客訴：系統沒有先致歉，請有資格的同事先看。",
        "可能是投诉：系统没有先致歉，请有资格的同事先看。",
    ),
    "implied_words": (
        "The customer's words sound like a complaint.",
        "客戶的話像是在抱怨。",
        "客户的话像是在抱怨。",
    ),
    "implied_late": (
        "The customer writes again while our answer is overdue.",
        "我們逾時還沒回覆，客戶又來問了。",
        "我们超时还没回复，客户又来问了。",
    ),
    "implied_promise": (
        "Something else that we promised is overdue.",
        "另外答應客戶的事也逾期了。",
        "另外答应客户的事也逾期了。",
    ),
    "implied_asked": (
        "The customer has asked {times} times without an answer.",
        "客戶已經問了 {times} 次，還沒有人回覆。",
        "客户已经问了 {times} 次，还没有人回复。",
    ),
    "implied_reopened": (
        "The ticket had been closed, and the customer comes back.",
        "案件已經結了，客戶又回來問。",
        "工单已经结了，客户又回来问。",
    ),
    "topic_weak": (
        "Too little tells the topic: it goes to a generalist.",
        "看不出明確主題，交給通才處理。",
        "看不出明确主题，交给通才处理。",
    ),
    "kind": ("Kind {kind}: {words}.", "類別 {kind}：{words}。", "类别 {kind}：{words}。"),
    "kind_default": ("Nothing tells the kind: a consultation.", "看不出類別，當作諮詢。", "看不出类别，当作咨询。"),
    "urgent": ("Urgent: {words}.", "急件：{words}。", "急件：{words}。"),
    "team": ("Team {team} ({why}).", "交給 {team}（{why}）。", "交给 {team}（{why}）。"),
    # acknowledging
    "ack_off": ("This channel sends no acknowledgements.", "這個管道不寄收件通知。", "这个渠道不发收件通知。"),
    "ack_no_address": (
        "No mail can be written to what stands as its sender.",
        "寄件者欄寫的不是可以回信的地址。",
        "发件人写的不是可以回信的地址。",
    ),
    "ack_too_old": (
        "It lay too long for an acknowledgement to make sense.",
        "收到太久了，不再寄收件通知。",
        "收到太久了，不再发收件通知。",
    ),
    "ack_too_late": (
        "The time by which it was to be answered is over: none can be promised.",
        "應回覆的時間已經過了，沒有可以承諾的時間。",
        "应回复的时间已经过了，没有可以承诺的时间。",
    ),
    "ack_same_matter": (
        "He has been told of #{ticket}, which is the same matter.",
        "同一件事的 #{ticket} 已經通知過客戶。",
        "同一件事的 #{ticket} 已经通知过客户。",
    ),
    "ack_backlog": (
        "It was in the mailbox before the desk began to read it.",
        "系統開始讀取這個信箱之前，它就在裡面了。",
        "系统开始读取这个邮箱之前，它就在里面了。",
    ),
    "ack_cap": (
        "{count} acknowledgements went to this address today: no more.",
        "這個地址今天已通知 {count} 次，不再寄。",
        "这个地址今天已通知 {count} 次，不再发。",
    ),
    "ack_domain_cap": (
        "{count} acknowledgements went to unknown addresses of {domain} today: no more.",
        "今天已通知 {domain} 的陌生地址 {count} 次，不再寄。",
        "今天已通知 {domain} 的陌生地址 {count} 次，不再发。",
    ),
    "ack_complained": (
        "This address reported a mail of ours as junk: nothing automatic is written to it.",
        "這個地址檢舉過我們的信，不再自動寄信給它。",
        "这个地址举报过我们的邮件，不再自动给它发信。",
    ),
    "ack_stopped": (
        "More than {cap} acknowledgements an hour: they have stopped until an hour was quiet.",
        "一小時內要寄的收件通知超過 {cap} 封，已暫停，等平靜一小時再恢復。",
        "一小时内要发的收件通知超过 {cap} 封，已暂停，等平静一小时再恢复。",
    ),
    "no_text_channel": (
        "Nothing is on record by which this caller could get a note.",
        "沒有留下可以傳訊給這位來電者的方式。",
        "没有留下可以给这位来电者发消息的方式。",
    ),
    "unparseable": ("It could not be read: {what}.", "信件無法解讀：{what}。", "邮件无法解读：{what}。"),
    # assignment
    "preferred": ("{agent} looks after this customer.", "{agent} 是這位客戶的專員。", "{agent} 是这位客户的坐席。"),
    "least_loaded": (
        "{agent} has the least to do ({open_tickets} open, about {minutes} minutes).",
        "{agent} 手上最少（{open_tickets} 件，約 {minutes} 分鐘）。",
        "{agent} 手上最少（{open_tickets} 件，约 {minutes} 分钟）。",
    ),
    "topic_relaxed": (
        "Nobody free knows {topic}: any of the team.",
        "懂 {topic} 的都沒空，改由同組處理。",
        "懂 {topic} 的都没空，改由同组处理。",
    ),
    "own_too_late": (
        "The customer's own agent {own} has about {minutes} minutes of other work: too late, so {agent}.",
        "{own} 是這位客戶的專員，但手上還要約 {minutes} 分鐘，會來不及，改由 {agent}。",
        "{own} 是这位客户的坐席，但手上还要约 {minutes} 分钟，会来不及，改由 {agent}。",
    ),
    "on_call": (
        "It is urgent and the desk is closed: who is on call was asked.",
        "這是急件，而且已經下班，所以找值班的人。",
        "这是急件，而且已经下班，所以找值班的人。",
    ),
    "all_busy": (
        "Everybody who could take it is busy for {minutes} minutes or more: it waits in the queue.",
        "能接的人都還要 {minutes} 分鐘以上才有空，先排隊。",
        "能接的人都还要 {minutes} 分钟以上才有空，先排队。",
    ),
    "leaving_relaxed": (
        "Only people whose shift ends soon are left: one of them.",
        "只剩快下班的人，還是交給其中一位。",
        "只剩快下班的人，还是交给其中一位。",
    ),
    "silent_relaxed": (
        "Only people who have shown no sign of life are left: one of them.",
        "只剩一直沒有動靜的人，還是交給其中一位。",
        "只剩一直没有动静的人，还是交给其中一位。",
    ),
    "too_late_for_all": (
        "Nobody can make its deadline any more.",
        "已經沒有人趕得上期限。",
        "已经没有人赶得上期限。",
    ),
    "rescued": (
        "It would have been late with {agent} ({why}): it was taken from there.",
        "留在 {agent} 手上會逾期（{why}），所以改派。",
        "留在 {agent} 手上会超时（{why}），所以改派。",
    ),
    "consulted": ("{agent} asks for advice.", "{agent} 請教。", "{agent} 请教。"),
    "same_matter": (
        "It is the same matter as #{ticket}: the same customer and topic, on another channel, within a day.",
        "與 #{ticket} 是同一件事：同一位客戶、同一主題、另一個管道、一天之內。",
        "与 #{ticket} 是同一件事：同一位客户、同一主题、另一个渠道、一天之内。",
    ),
    "split_from": (
        "It was split off #{ticket}.",
        "由 #{ticket} 分出。",
        "由 #{ticket} 分出。",
    ),
    "handed_over": ("{by} handed it to {agent}.", "{by} 轉交給 {agent}。", "{by} 转交给 {agent}。"),
    "stands_in": ("{agent} is away.", "{agent} 不在。", "{agent} 不在。"),
    "nobody": ("Nobody can take it now ({why}).", "現在沒有人能接（{why}）。", "现在没有人能接（{why}）。"),
}

_COLUMN = {"en": 0, "zh-Hant": 1, "zh-Hans": 2}


def sentence(reason: Reason, language: str = "en") -> str:
    """The reason as one sentence in `language` ("en", "zh-Hant", "zh-Hans"; anything else reads English)."""
    written = SENTENCES.get(reason.code)
    if written is None:
        return reason.words or reason.code
    told = written[_COLUMN.get(language, 0)].format_map(_Blanks(reason.data))
    return f"{told} {reason.words}" if reason.words else told


class _Blanks(dict[str, Fact]):
    """A fact that an old event does not have leaves its name, and breaks nothing."""

    def __missing__(self, key: str) -> str:
        return key
