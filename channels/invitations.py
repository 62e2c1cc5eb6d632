"""Invitations (text/calendar): what, when, where and who, in a few lines that a person can read.

The labels are in the language of the invitation's own words. Times stand as they were stated, with the zone's name as
it was stated: what is read here decides nothing. Source: RFC 5545, RFC 5546.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote

from channels.language import guess

MEDIA_TYPES = frozenset({"text/calendar", "application/ics"})
MAX_INPUT = 256 * 1024  # characters
MAX_EVENTS = 5
MAX_PEOPLE = 10
MAX_VALUE = 500  # characters
MAX_WORDS = 2000  # characters of a description

#: What it is about; the rest says when and where, which needs no words.
_METHODS = {
    "REQUEST": ("Invitation", "邀請", "邀请"),
    "PUBLISH": ("Event", "活動", "活动"),
    "CANCEL": ("Cancelled", "已取消", "已取消"),
    "REPLY": ("Answer to an invitation", "邀請的回覆", "邀请的答复"),
    "COUNTER": ("Another time proposed", "建議改期", "建议改期"),
    "DECLINECOUNTER": ("The other time does not suit", "改期未獲接受", "改期未被接受"),
    "ADD": ("Further date", "新增日期", "新增日期"),
    "REFRESH": ("Details asked for", "索取詳情", "索取详情"),
}
_LABELS = {
    "when": ("When", "時間", "时间"),
    "where": ("Where", "地點", "地点"),
    "organiser": ("Organiser", "召集人", "组织者"),
    "people": ("With", "與會者", "参加者"),
    "repeats": ("Repeats", "重複", "重复"),
    "words": ("Notes", "說明", "说明"),
}
_ANSWERS = {
    "ACCEPTED": ("accepted", "接受", "接受"),
    "DECLINED": ("declined", "婉拒", "谢绝"),
    "TENTATIVE": ("tentative", "暫定", "暂定"),
}
_COLUMN = {"en": 0, "zh-Hant": 1, "zh-Hans": 2}
_PROPERTY = re.compile(r'([A-Za-z0-9-]{1,60})((?:;[^":;]*(?:"[^"]*"[^":;]*)*)*):(.*)', re.S)
_PARAMETER = re.compile(r';([A-Za-z0-9-]{1,40})=(?:"([^"]*)"|([^;"]*))')
_TIME = re.compile(r"(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)\d{0,2}(Z?))?")
_ESCAPED = re.compile(r"\\([nN,;\\])")
_DURATION = re.compile(r"\+?P(?:(\d{1,4})W)?(?:(\d{1,4})D)?(?:T(?:(\d{1,4})H)?(?:(\d{1,4})M)?(?:\d{1,4}S)?)?")


@dataclass(frozen=True, slots=True)
class _Property:
    params: dict[str, str]
    value: str


_Event = dict[str, list[_Property]]


def told(ics: str, beside: str = "") -> str:
    """The lines; "" for what has no event. `beside` are the mail's own words, which tell the language as well."""
    method, events = _events(ics[:MAX_INPUT])
    if not events:
        return ""
    words = "\n".join(_value(event, name) for event in events for name in ("SUMMARY", "DESCRIPTION", "LOCATION"))
    column = _COLUMN.get(guess(words) or guess(beside), 0)
    return "\n\n".join("\n".join(_lines(method, event, column)) for event in events)


def _events(ics: str) -> tuple[str, list[_Event]]:
    """The method and the events or tasks, as many as are told. What is nested within them (alarms) is passed over."""
    method = ""
    events: list[_Event] = []
    inside: list[str] = []
    for name, one in _properties(ics):
        if name == "BEGIN":
            inside.append(one.value.strip().upper())
            if inside[-1] in ("VEVENT", "VTODO"):
                if len(events) >= MAX_EVENTS:
                    break
                events.append({})
        elif name == "END":
            if inside:
                inside.pop()
        elif name == "METHOD" and not method:
            method = one.value.strip().upper()
        elif events and inside and inside[-1] in ("VEVENT", "VTODO"):
            many = events[-1].setdefault(name, [])
            if len(many) <= MAX_PEOPLE:
                many.append(one)
    return method or "PUBLISH", events


def _properties(ics: str) -> Iterator[tuple[str, _Property]]:
    unfolded = re.sub(r"\r?\n[ \t]", "", ics.replace("\r\r\n", "\n"))
    for line in unfolded.splitlines():
        if match := _PROPERTY.fullmatch(line[:16_384]):
            params = {m[1].upper(): m[2] or m[3] or "" for m in _PARAMETER.finditer(match[2])}
            yield match[1].upper(), _Property(params, match[3])


def _lines(method: str, event: _Event, column: int) -> Iterator[str]:
    if _value(event, "STATUS").upper() == "CANCELLED":
        method = "CANCEL"
    names = _METHODS.get(method)
    yield f"[{names[column] if names else method[:40]}] {_value(event, 'SUMMARY')}".rstrip()
    facts = {
        "when": _when(event),
        "repeats": _value(event, "RRULE"),
        "where": _value(event, "LOCATION"),
        "organiser": _person(event["ORGANIZER"][0], column) if "ORGANIZER" in event else "",
        "people": _people(event, column),
    }
    colon = ": " if column == 0 else "："
    for label, value in facts.items():
        if value:
            yield f"{_LABELS[label][column]}{colon}{value}"
    if words := _value(event, "DESCRIPTION", MAX_WORDS):
        yield f"{_LABELS['words'][column]}{colon}{words}"


def _value(event: _Event, name: str, limit: int = MAX_VALUE) -> str:
    if name not in event:
        return ""
    text = _ESCAPED.sub(lambda sign: "\n" if sign[1] in "nN" else sign[1], event[name][0].value)
    if name != "DESCRIPTION":
        text = " ".join(text.split())
    return text.strip()[:limit]


def _people(event: _Event, column: int) -> str:
    guests = event.get("ATTENDEE", [])
    shown = [_person(one, column) for one in guests[:MAX_PEOPLE]]
    return ", ".join(filter(None, shown)) + (" …" if len(guests) > MAX_PEOPLE else "")


def _person(one: _Property, column: int) -> str:
    address = unquote(one.value.strip())
    address = address[7:] if address.lower().startswith("mailto:") else address
    name = " ".join(one.params.get("CN", "").split())
    shown = f"{name} <{address}>" if name and name != address else address
    answer = _ANSWERS.get(one.params.get("PARTSTAT", "").upper())
    return f"{shown} ({answer[column]})"[:MAX_VALUE] if answer else shown[:MAX_VALUE]


def _when(event: _Event) -> str:
    """ "2026-11-25 14:00 – 15:00 (Asia/Taipei)": as stated, nothing converted."""
    start = event.get("DTSTART", event.get("DUE", [None]))[0]
    if start is None or not (begin := _moment(start)):
        return ""
    day, clock, zone = begin
    shown = f"{day} {clock}".rstrip()
    end = event.get("DTEND", [None])[0]
    if end is not None and (until := _moment(end)):
        if until[0] != day and clock:
            shown += f" – {until[0]} {until[1]}".rstrip()
        elif until[1] and until[1] != clock:
            shown += f" – {until[1]}"
        if until[2] != zone:
            zone = f"{zone} – {until[2]}"
    elif "DURATION" in event and (length := _DURATION.fullmatch(event["DURATION"][0].value.strip())):
        units = zip(length.groups(), ("w", "d", "h", "min"), strict=True)
        shown += "".join(f" + {int(n)} {unit}" for n, unit in units if n)
    return f"{shown} ({zone})" if zone else shown


def _moment(one: _Property) -> tuple[str, str, str] | None:
    """Day, time of day, zone as stated; None for what is no moment."""
    match = _TIME.match(one.value.strip())
    if match is None:
        return None
    year, month, day, hour, minute, utc = match.groups()
    zone = "UTC" if utc else one.params.get("TZID", "").strip("/")[:80]
    return f"{year}-{month}-{day}", f"{hour}:{minute}" if hour else "", zone
