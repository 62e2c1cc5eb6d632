"""Quotes by mail program and language: what stands between the customer's words and what he answered.

`KNOWN` was at hand while the finder was written. `UNSEEN` was written after it, in one go; what it found of those
at the first try is in docs/agreement.md.
"""

from __future__ import annotations

import pytest

from channels.quotes import split

WORDS = {
    "hant": "陳小姐您好：\n\n扣繳憑單已補寄，請問退稅大約何時入帳？\n\n王美玲",
    "hans": "李老师，您好！\n\n材料已经补交，请问还需要多久？\n\n张伟",
    "en": "Hello Ms Chen,\n\nthe form is attached now. When will I get the refund?\n\nThanks\nMei",
    "ja": "お世話になっております。\n\n書類を再送しました。還付はいつ頃になりますか。\n\n山田",
    "de": "Guten Tag Frau Chen,\n\nanbei das fehlende Formular. Wann kommt die Erstattung?\n\nViele Grüße\nJana",
}
OLD = "請補寄扣繳憑單。\n\n陳\n稅務客服"
MARKED = "\n".join(f"> {line}".rstrip() for line in OLD.split("\n"))

#: "program language, what is special" -> (heading, whether the quote bears marks)
KNOWN = {
    "gmail hant": ("稅務客服 <desk@firm.example> 於 2026年11月23日 週一 上午9:15寫道：\n", True),
    "gmail hant, wrapped": ("稅務客服 <desk@firm.example> 於 2026年11月23日 週一\n上午9:15寫道：\n", True),
    "gmail hant, hong kong": ("稅務客服 <desk@firm.example> 於 2026年11月23日週一 上午9:15寫道：\n", True),
    "gmail hans": ("税务客服 <desk@firm.example> 于2026年11月23日周一 09:15写道：\n", True),
    "gmail hans, no address": ("税务客服于2026年11月23日周一 09:15写道：\n", True),
    "gmail en, narrow blank": ("On Mon, Nov 23, 2026 at 9:15\u202fAM Tax Desk <desk@firm.example> wrote:\n", True),
    "gmail en, wrapped in the address": (
        "On Mon, Nov 23, 2026 at 9:15 AM Tax Desk of the Very Long Firm Name Ltd <\ndesk@firm.example> wrote:\n",
        True,
    ),
    "gmail en, wrapped twice": (
        "On Mon, Nov 23, 2026 at 9:15 AM Tax Desk of the Very Long Firm\nName Ltd\n<desk@firm.example>\nwrote:\n",
        True,
    ),
    "gmail en, via": ("On Mon, Nov 23, 2026 at 9:15 AM 'Chen' via Desk <\ndesk@firm.example> wrote:\n", True),
    "gmail ja": ("2026年11月23日(月) 9:15 税務デスク <desk@firm.example>:\n", True),
    "gmail ja, wrapped": ("2026年11月23日(月) 9:15 税務デスク\n<desk@firm.example>:\n", True),
    "gmail de": ("Am Mo., 23. Nov. 2026 um 09:15 Uhr schrieb Steuerbüro <desk@firm.example>:\n", True),
    "gmail de, wrapped": ("Am Mo., 23. Nov. 2026 um 09:15 Uhr schrieb Steuerbüro <\ndesk@firm.example>:\n", True),
    "gmail en, years ago": ("2026-11-23 9:15 GMT+08:00 Tax Desk <desk@firm.example>:\n", True),
    "gmail es": ("El lun, 23 nov 2026 a las 9:15, Tax Desk (<desk@firm.example>) escribió:\n", True),
    "gmail pt": ("Em seg., 23 de nov. de 2026 às 09:15, Tax Desk <desk@firm.example>\nescreveu:\n", True),
    "gmail it": ("Il giorno lun 23 nov 2026 alle ore 09:15 Tax Desk <desk@firm.example>\nha scritto:\n", True),
    "gmail fr": ("Le lun. 23 nov. 2026 à 09:15, Tax Desk <desk@firm.example> a écrit\u00a0:\n", True),
    "outlook hant": (
        "寄件者: 稅務客服 <desk@firm.example>\n寄件日期: 2026年11月23日 上午 09:15\n收件者: 王美玲\n主旨: 退稅\n",
        False,
    ),
    "outlook hant, rule": (
        "________________________________\n寄件者: 稅務客服 <desk@firm.example>\n"
        "寄件日期: Monday, November 23, 2026 9:15:00 AM\n收件者: 王美玲 <mei@customer.example>\n主旨: 退稅\n",
        False,
    ),
    "outlook hant, original": (
        "-----Original Message-----\n寄件者: 稅務客服\n傳送時間: 2026年11月23日 9:15\n收件者: 王\n副本: 李\n"
        "主旨: 退稅\n",
        False,
    ),
    "outlook hans": (
        "发件人: 税务客服 <desk@firm.example>\n发送时间: 2026年11月23日 9:15\n收件人: 张伟\n主题: 退税\n",
        False,
    ),
    "outlook hans, full-width": ("发件人：客服\n日期：2026年11月23日 星期一 09:15\n收件人：张伟\n主题：退税\n", False),
    "outlook hans, mobile": (
        "获取 Outlook for iOS<https://aka.example/o0ukef>\n________________________________\n"
        "发件人: 客服 <desk@firm.example>\n发送时间: Monday, November 23, 2026 9:15:32 AM\n收件人: 张伟\n主题: 退税\n",
        False,
    ),
    "outlook hant, mobile": (
        "取得 iOS 版 Outlook<https://aka.example/o0ukef>\n________________________________\n"
        "寄件者: 客服 <desk@firm.example>\n寄件日期: 星期一, 十一月 23, 2026 9:15 上午\n收件者: 王\n主旨: 退稅\n",
        False,
    ),
    "outlook en, mobile": (
        "Get Outlook for Android<https://aka.example/AAb9ysg>\n________________________________\n"
        "From: Desk <desk@firm.example>\nSent: Monday, November 23, 2026 9:15:32 AM\nTo: Mei\nSubject: tax\n",
        False,
    ),
    "outlook en, many recipients": (
        "From: Desk <desk@firm.example>\nSent: Monday, 23 November 2026 09:15\n"
        "To: Mei Wang <mei@customer.example>;\n"
        " Li Si <li@customer.example>;\n Zhao Liu <zhao@customer.example>\nCc: Boss\n"
        "Subject: Re: tax\nImportance: High\n",
        False,
    ),
    "outlook en, mac": (
        "From: Desk <desk@firm.example>\nDate: Monday, 23 November 2026 at 09:15\n"
        "To: Mei <mei@c.example>\nSubject: tax\n",
        False,
    ),
    "outlook ja": (
        "差出人: 税務デスク <desk@firm.example>\n送信日時: 2026年11月23日 9:15\n宛先: 山田\n件名: 還付\n",
        False,
    ),
    "outlook ja, rule": (
        "________________________________\n差出人: 税務デスク\n送信日時: 2026年11月23日月曜日 9:15\n宛先: 山田\n"
        "CC: 鈴木\n件名: RE: 還付\n",
        False,
    ),
    "outlook de": (
        "Von: Steuerbüro <desk@firm.example>\nGesendet: Montag, 23. November 2026 09:15\nAn: Jana\nBetreff: Steuer\n",
        False,
    ),
    "outlook de, mobile": (
        "Outlook für iOS beziehen\n________________________________\nVon: Steuerbüro\n"
        "Gesendet: Montag\nAn: J\nBetreff: S\n",
        False,
    ),
    "outlook fr": ("De : Desk\nEnvoyé : lundi 23 novembre 2026 09:15\nÀ : Mei\nObjet : impôts\n", False),
    "outlook es": ("De: Desk\nEnviado el: lunes, 23 de noviembre de 2026 9:15\nPara: Mei\nAsunto: impuestos\n", False),
    "outlook pt": ("De: Desk\nEnviada em: segunda-feira, 23 de novembro\nPara: Mei\nAssunto: imposto\n", False),
    "outlook it": ("Da: Desk\nInviato: lunedì 23 novembre 2026 09:15\nA: Mei\nOggetto: tasse\n", False),
    "apple hant": ("稅務客服 <desk@firm.example> 於 2026年11月23日 上午9:15 寫道：\n", True),
    "apple hant, phone": (
        "從我的 iPhone 傳送\n\n> 客服 <desk@firm.example> 於 2026年11月23日 上午9:15 寫道：\n>",
        True,
    ),
    "apple hans": ("2026年11月23日 09:15，税务客服 <desk@firm.example> 写道：\n", True),
    "apple hans, phone": ("发自我的iPhone\n\n> 在 2026年11月23日，09:15，客服 <desk@firm.example> 写道：\n> ", True),
    "apple en": ("On Nov 23, 2026, at 09:15, Tax Desk <desk@firm.example> wrote:\n", True),
    "apple en, phone": (
        "Sent from my iPhone\n\n> On 23 Nov 2026, at 9:15\u202fAM, Desk <d@firm.example> wrote:\n> ",
        True,
    ),
    "apple ja": ("2026/11/23 9:15、税務デスク <desk@firm.example>のメール:\n", True),
    "apple ja, phone": ("iPhoneから送信\n\n> 2026/11/23 9:15、税務デスク <desk@firm.example>のメール：\n> ", True),
    "apple de": ("Am 23.11.2026 um 09:15 schrieb Steuerbüro <desk@firm.example>:\n", True),
    "apple de, phone": ("Von meinem iPhone gesendet\n\n> Am 23.11.2026 um 09:15 schrieb Büro <d@f.example>:\n> ", True),
    "thunderbird hant": ("稅務客服 於 2026/11/23 上午 09:15 寫道:", True),
    "thunderbird hans": ("在 2026/11/23 9:15, 税务客服 写道:", True),
    "thunderbird hans, older": ("于 2026年11月23日 09:15, 税务客服 写道:", True),
    "thunderbird en": ("On 11/23/26 09:15, Tax Desk wrote:", True),
    "thunderbird en, iso": ("On 2026-11-23 09:15, Tax Desk wrote:", True),
    "thunderbird ja": ("On 2026/11/23 9:15, 税務デスク wrote:", True),
    "thunderbird ja, older": ("(2026/11/23 9:15), 税務デスク wrote:", True),
    "thunderbird de": ("Am 23.11.26 um 09:15 schrieb Steuerbüro:", True),
    "thunderbird en, name alone": ("Tax Desk wrote:", True),
    "qq hans": (
        '------------------ 原始邮件 ------------------\n发件人: "税务客服" <desk@firm.example>;\n'
        '发送时间: 2026年11月23日(星期一) 上午9:15\n收件人: "张伟"<zw@qq.example>;\n主题: 回复：退税\n',
        False,
    ),
    "qq hans, blanks": ("------------------\u00a0原始邮件\u00a0------------------\n发件人:\u00a0客服\n", False),
    "qq hans, picture for a rule": (
        "原始邮件\n\n发件人：税务客服 <desk@firm.example>\n"
        "发件时间：2026年11月23日 09:15\n收件人：张伟 <z@qq.example>\n"
        "主题：退税\n",
        False,
    ),
    "qq hans, phone": (
        "发自我的iPhone\n\n\n------------------ 原始邮件 ------------------\n发件人: 客服 <desk@firm.example>\n",
        False,
    ),
    "qq hans, app": (
        "---原始邮件---\n发件人: 客服<desk@firm.example>\n发送时间: 2026年11月23日(周一) 上午9:15\n",
        False,
    ),
    "qq hant": (
        '------------------ 原始郵件 ------------------\n寄件者: "稅務客服" <desk@firm.example>;\n'
        "傳送時間: 2026年11月23日(星期一) 上午9:15\n收件者: 王<w@qq.example>;\n主旨: 退稅\n",
        False,
    ),
    "qq en": (
        '------------------ Original ------------------\nFrom:  "Desk"<desk@firm.example>;\n'
        "Date:  Mon, Nov 23, 2026 09:15 AM\nTo:  Mei<m@qq.example>;\nSubject:  tax\n",
        False,
    ),
    "163 hans": ('在 2026-11-23 09:15:00，"税务客服" <desk@firm.example> 写道：\n', False),
    "163 hans, no blanks": ('在2026-11-23 09:15:00,"税务客服"<desk@firm.example>写道：\n', False),
    "163 hant": ('在 2026-11-23 09:15:00，"稅務客服" <desk@firm.example> 寫道：\n', False),
    "163 en": ('At 2026-11-23 09:15:00, "Tax Desk" <desk@firm.example> wrote:\n', False),
    "163 hans, new": (
        "---- 回复的原邮件 ----\n| 发件人 | 税务客服<desk@firm.example> |\n| 发送日期 | 2026年11月23日 09:15 |\n"
        "| 收件人 | 张伟<z@163.example> |\n| 主题 | 退税 |\n",
        False,
    ),
    "163 hans, phone": ("签名由 网易邮箱大师 定制\n\n在2026年11月23日 09:15，税务客服 写道：\n", False),
    "163 en, new": (
        "---- Replied Message ----\n| From | Desk<desk@firm.example> |\n| Date | 11/23/2026 09:15 |\n| To | Mei |\n",
        False,
    ),
    "foxmail hans": ("\n \n发件人： 税务客服\n发送时间： 2026-11-23 09:15\n收件人： 张伟\n主题： 退税\n", False),
    "foxmail hans, rule": (
        "\nzw@customer.example\n \n--------------------------------\n发件人： 客服\n发送时间： 2026-11-23 09:15\n"
        "收件人： zw\n抄送： 李四\n主题： 退税\n",
        False,
    ),
    "foxmail hant": ("寄件者： 稅務客服\n傳送時間： 2026-11-23 09:15\n收件者： 王\n主旨： 退稅\n", False),
    "foxmail en": ("From: Tax Desk\nDate: 2026-11-23 09:15\nTo: mei\nSubject: tax\n", False),
    "yahoo hant": ("於 2026年11月23日 星期一 上午09:15:00 [GMT+8]，稅務客服 <desk@firm.example> 寫道：\n", False),
    "yahoo hant, hong kong": (
        "在 2026年11月23日星期一 上午09:15:00 [GMT+8]， 稅務客服<desk@firm.example> 寫道：\n",
        False,
    ),
    "yahoo hans": ("在 2026年11月23日星期一 上午09:15:00 GMT+8， 客服<desk@firm.example> 写道：\n", False),
    "yahoo en": (
        "On Monday, November 23, 2026 at 09:15:00 AM GMT+8, Tax Desk <desk@firm.example> wrote:\n",
        False,
    ),
    "yahoo ja": (
        "----- Original Message -----\nFrom: 税務デスク <desk@firm.example>\nTo: 山田\nDate: 2026/11/23, Mon 09:15\n",
        False,
    ),
    "yahoo de": (
        "Am Montag, 23. November 2026 um 09:15:00 MEZ hat Steuerbüro <desk@firm.example> Folgendes geschrieben:\n",
        False,
    ),
    "gmx de": ("Gesendet: Montag, 23. November 2026 um 09:15 Uhr\nVon: Büro <d@f.example>\nAn: J\nBetreff: S\n", False),
    "roundcube hans": ("在 2026-11-23 09:15，税务客服 写道：", True),
    "roundcube de": ("Am 2026-11-23 09:15, schrieb Steuerbüro:", True),
    "notes en": ("Tax Desk <desk@firm.example> wrote on 23/11/2026 09:15:00:\n", False),
    "samsung hant": (
        "-------- 原始郵件 --------\n自： 客服 <desk@firm.example>\n日期： 2026/11/23 上午9:15 (GMT+08:00)\n到： 王\n",
        False,
    ),
    "k-9 de": ("Am 23. November 2026 09:15:00 MEZ schrieb Steuerbüro <desk@firm.example>:\n", True),
    "coremail hans": (
        '-----原始邮件-----\n发件人:"客服" <desk@firm.example>\n发送时间:2026-11-23 09:15:00 (星期一)\n收件人: 张伟\n',
        False,
    ),
    "lark hans": (
        '发件人: "客服"<desk@firm.example>\n日期: 2026年11月23日 (周一) 09:15\n主题: 退税\n收件人: 张\n',
        False,
    ),
    "any en, marks alone": ("", True),
}


UNSEEN = {
    "gmail hant, long name wrapped": (
        "台北國稅事務所客戶服務部門第二組 <service.desk.second.group@firm.example> 於\n"
        "2026年11月23日 週一 下午3:07寫道：\n",
        True,
    ),
    "gmail hans, quoted name": ('"税务, 客服" <desk@firm.example> 于2026年11月23日周一 15:07写道：\n', True),
    "gmail en, 24 hours": ("On Mon, 23 Nov 2026 at 15:07, Tax Desk <desk@firm.example> wrote:\n", True),
    "gmail en, plus address": (
        "On Mon, Nov 23, 2026, 15:07 Tax Desk <desk+iktaaaaaaaabbbbbbbbccccccccdddd@firm.example>\nwrote:\n",
        True,
    ),
    "gmail ja, no weekday": ("2026年11月23日 15:07 税務デスク <desk@firm.example>:\n", True),
    "gmail ja, next day": ("2026年11月24日(火) 0:07 <desk@firm.example>:\n", True),
    "gmail de, austria": ("Am Mo., 23. Nov. 2026 um 15:07 Uhr schrieb <desk@firm.example>:\n", True),
    "gmail ko": ("2026년 11월 23일 (월) 오후 3:07, Tax Desk <desk@firm.example>님이 작성:\n", True),
    "gmail nl": ("Op ma 23 nov 2026 om 15:07 schreef Tax Desk <desk@firm.example>:\n", True),
    "outlook hant, new": (
        "寄件者: 稅務客服 <desk@firm.example>\n已傳送: 2026年11月23日 下午 03:07\n"
        "收件者: 王美玲 <m@c.example>\n主旨: RE: 退稅\n",
        False,
    ),
    "outlook hant, bold": ("*寄件者:* 稅務客服\n*寄件日期:* 2026年11月23日 15:07\n*收件者:* 王\n*主旨:* 退稅\n", False),
    "outlook hant, blank lines between": (
        "寄件者: 稅務客服\n\n寄件日期: 2026年11月23日 15:07\n\n收件者: 王\n\n主旨: 退稅\n",
        False,
    ),
    "outlook hans, external": (
        "发件人: 客服 <desk@firm.example>\n发送时间: 2026年11月23日 15:07\n收件人: 张伟\n"
        "抄送: 李四; 王五\n主题: [外部邮件] 退税\n",
        False,
    ),
    "outlook hans, web": (
        "________________________________________\n发件人: 客服 <desk@firm.example>\n"
        "已发送: 2026 年 11 月 23 日 15:07\n"
        "收件人: 张伟\n主题: 退税\n",
        False,
    ),
    "outlook en, wrapped subject": (
        "From: Tax Desk <desk@firm.example> \nSent: Monday, November 23, 2026 3:07 PM\nTo: Mei Wang <m@c.example>\n"
        "Subject: RE: [EXT] a very long subject that goes on and on and is\n wrapped by the program\n",
        False,
    ),
    "outlook en, subject first": (
        "-----Original Appointment-----\nSubject: call\nFrom: Desk\nSent: Monday\nTo: Mei\nWhen: Tuesday\n",
        False,
    ),
    "outlook ja, original": (
        "-----Original Message-----\nFrom: 税務デスク <desk@firm.example> \nSent: Monday\n",
        False,
    ),
    "outlook ja, full-width": (
        "差出人：税務デスク\n日時：2026年11月23日 15:07\n宛先：山田様\n件名：還付について\n",
        False,
    ),
    "outlook de, with rule": (
        "________________________________\nVon: Büro <desk@firm.example>\n"
        "Gesendet: Montag, 23. November 2026 15:07:12\n"
        "An: Jana\nCc: Chef\nBetreff: AW: Steuer\n",
        False,
    ),
    "outlook de, older": (
        "-----Ursprüngliche Nachricht-----\nVon: Büro [mailto:desk@firm.example]\nGesendet: Montag, 23. November\n",
        False,
    ),
    "apple hant, older": ("稅務客服 <desk@firm.example> 在 2026年11月23日 下午3:07 寫道：\n", True),
    "apple hant, mac unmarked": ("於 2026年11月23日，下午3:07，稅務客服 <desk@firm.example> 寫道：\n", False),
    "apple hans, wrapped": ("在 2026年11月23日，下午3:07，税务客服\n<desk@firm.example> 写道：\n", True),
    "apple en, pm": ("On Nov 23, 2026, at 3:07\u202fPM, Chen, Mei-Li <desk@firm.example> wrote:\n", True),
    "apple en, ipad": ("Sent from my iPad\n\nOn 23 Nov 2026, at 15:07, Tax Desk <desk@firm.example> wrote:\n", True),
    "apple ja, mac": ("2026年11月23日 15:07、税務デスク <desk@firm.example>のメール:\n", True),
    "apple de, ipad": ("Von meinem iPad gesendet\n\nAm 23.11.2026 um 15:07 schrieb Büro <desk@firm.example>:\n", True),
    "thunderbird hant, address": ("desk@firm.example 於 2026/11/23 15:07 寫道：", True),
    "thunderbird hans, comma": ("在 2026/11/23 下午3:07，税务客服 写道:", True),
    "thunderbird en, verbose": ("On Mon 23 Nov 2026 03:07:45 PM CST, Tax Desk wrote:", True),
    "thunderbird de, long": ("Am 23. November 2026 15:07:45 schrieb Steuerbüro:", True),
    "qq hans, quick reply": ("税务客服<desk@firm.example>\u00a0在 2026年11月23日 周一 15:07 写道：\n", False),
    "qq hans, subject and cc": (
        '------------------\u00a0原始邮件\u00a0------------------\n发件人:\u00a0"税务客服"<desk@firm.example>;\n'
        '发送时间:\u00a02026年11月23日(星期一) 下午3:07\n收件人:\u00a0"张"<z@qq.example>;\n'
        '抄送:\u00a0"李"<l@qq.example>;\n',
        False,
    ),
    "qq en, app": ("---Original---\nFrom: Desk<desk@firm.example>\nDate: Mon, Nov 23, 2026 15:07 PM\nTo: Mei\n", False),
    "qq hant, app": ("---原始郵件---\n寄件人: 客服<desk@firm.example>\n發送時間: 2026年11月23日\n收件人: 王\n", False),
    "163 hans, wrapped": ('在 2026-11-23 15:07:45，"税务客服"\n<desk@firm.example> 写道：\n', False),
    "163 hans, reply all": ("在 2026-11-23 15:07:45，desk@firm.example 写道：\n", False),
    "163 en, phone": ("On 11/23/2026 15:07，Tax Desk<desk@firm.example> wrote：\n", False),
    "163 hans, master table": (
        "---- 回复的原邮件 ----\n发件人 税务客服<desk@firm.example>\n日期 2026年11月23日 15:07\n收件人 张伟\n",
        False,
    ),
    "foxmail hans, half-width": (
        "发件人: 税务客服\n发送时间: 2026-11-23 15:07\n收件人: 'zw'\n主题: 答复: 退税\n",
        False,
    ),
    "foxmail hant, rule": (
        "\nzw@customer.example\n\n________________________________\n 寄件者： 客服\n"
        "傳送時間： 2026-11-23 15:07\n收件者： 王\n"
        "主旨： 退稅\n",
        False,
    ),
    "yahoo hant, phone": (
        "從 Android 的 Yahoo奇摩電子信箱傳送\n\n於 2026年11月23日週一 於 15:07，客服 <desk@firm.example> 寫道：\n",
        False,
    ),
    "yahoo en, phone": (
        "Sent from Yahoo Mail for iPhone\n\nOn Monday, November 23, 2026, 3:07 PM, Desk <desk@firm.example> wrote:\n",
        False,
    ),
    "yahoo ja, own": (
        "----- Original Message -----\nFrom: デスク <d@firm.example>\nDate: 2026/11/23, Mon 15:07\n",
        False,
    ),
    "yahoo de, phone": (
        "Von Yahoo Mail auf Android gesendet\n\nAm Mo., Nov. 23, 2026 um 15:07 schrieb Büro<desk@firm.example>:\n",
        False,
    ),
    "proton en": ("On Monday, November 23rd, 2026 at 3:07 PM, Tax Desk <desk@firm.example> wrote:\n", True),
    "proton de": ("Büro <desk@firm.example> schrieb am Montag, 23. November 2026 um 15:07:\n", True),
    "zoho en": ("---- On Mon, 23 Nov 2026 15:07:45 +0800 Desk <desk@firm.example> wrote ---\n", False),
    "huawei hans": (
        "-------- 原始邮件 --------\n发件人： 客服 <desk@firm.example>\n"
        "日期： 2026年11月23日周一 15:07\n收件人： 张\n主题： 退税\n",
        False,
    ),
    "samsung de": (
        "-------- Ursprüngliche Nachricht --------\nVon: Büro <d@f.example>\nDatum: 23.11.26 15:07\n",
        False,
    ),
    "naver hant": (
        '-----Original Message-----\nFrom: "客服"<d@f.example>\nTo: <w@c.example>;\nCc:\nSent: 2026-11-23\n',
        False,
    ),
    "xiaomi hans": ("客服 <desk@firm.example>在 2026年11月23日 下午3:07写道：\n", False),
    "mail en, evolution": ("On Mon, 2026-11-23 at 15:07 +0800, Tax Desk wrote:", True),
    "gnus en": ("Tax Desk <desk@firm.example> writes:\n", True),
}


BOTH = KNOWN | UNSEEN


def _mail(name: str) -> tuple[str, str]:
    language = name.replace(",", "").split()[1]
    heading, is_marked = BOTH[name]
    words = WORDS.get(language, WORDS["en"])
    return words, f"{words}\n\n\n{heading}\n{MARKED if is_marked else OLD}\n"


@pytest.mark.parametrize("name", BOTH)
def test_the_customers_words_are_found(name: str) -> None:
    words, text = _mail(name)

    assert split(text, "zw@customer.example").new == words


@pytest.mark.parametrize("name", BOTH)
def test_words_and_quote_together_are_the_whole(name: str) -> None:
    _, text = _mail(name)

    found = split(text, "zw@customer.example")

    assert sorted(f"{found.new}\n{found.quoted}".split()) == sorted(text.split())
