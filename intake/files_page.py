"""The page behind a link to files that were too large to be mailed: what there is, and a button for each.

The link is a token (PROMISES.md, G8): the store knows whose it is, when it ends and whether it was revoked; a wrong
one and an old one get the same answer as a path that does not exist. Looking at the page hands over nothing, because
mail scanners follow links; each file needs a press of its button. Files leave as downloads and never as pages, and
each one that leaves is an event. Nothing is unpacked, and nothing is kept: the octets are parts of the stored mail.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from html import escape
from typing import Any
from urllib.parse import quote

import structlog
from aiohttp import hdrs, web

from channels.adapter import Clock, StoreUnavailable
from channels.http import not_found, unavailable
from channels.message import Attachment, Message
from channels.mime import NoSuchPart, part_bytes
from intake import dates
from intake.cards import Stationery, message_of
from intake.left_out import FILES_PATH
from intake.logs import tell
from routing.policy import Agent
from routing.records import Event
from routing.tokens import FILES, TokenRecord, judge, message_of_files
from store import events, sealed, tickets, tokens
from store.engine import Database
from store.seal import Erased, SealBroken

log = structlog.get_logger(__name__)

CHUNK = 256 * 1024  # octets written at a time
AT_ONCE = 2  # files being cut out of their mails at one time: each costs its mail's size in memory
DOWNLOADS = 4  # files on their way at one time, from the cut to the last octet: each is held in memory until then
WAIT = 20.0  # s, for one of those to end
SENDING = 600.0  # s, one may take: 30 MiB at 50 KiB/s; who takes longer is cut off

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
_HEADERS = {
    hdrs.CACHE_CONTROL: "no-store",
    "Content-Security-Policy": _POLICY,
    "X-Robots-Tag": "noindex",
}


class FilesPage:
    """The routes below /files."""

    def __init__(self, db: Database, clock: Clock, stationery: Callable[[], Stationery]) -> None:
        self._db = db
        self._clock = clock
        self._stationery = stationery
        self._cutting = asyncio.Semaphore(AT_ONCE)
        self._downloads = asyncio.Semaphore(DOWNLOADS)

    def routes(self, app: Any) -> None:
        """Mount them on an aiohttp application."""
        app.router.add_get(f"{FILES_PATH}/{{token}}", self._show)
        app.router.add_post(f"{FILES_PATH}/{{token}}/{{number:\\d{{1,4}}}}", self._hand_over)

    async def _show(self, request: web.Request) -> web.StreamResponse:
        record, agent, message = await self._behind(request.match_info["token"])
        page = _page(record, agent, message, self._stationery(), self._clock.now())
        return web.Response(text=page, content_type="text/html", headers=_HEADERS)

    async def _hand_over(self, request: web.Request) -> web.StreamResponse:
        record, _, message = await self._behind(request.match_info["token"])
        number = int(request.match_info["number"])
        if number >= len(message.attachments):
            raise not_found()
        attachment = message.attachments[number]
        try:
            await asyncio.wait_for(self._downloads.acquire(), WAIT)
        except TimeoutError:
            raise unavailable("Other files are being fetched just now; try again in a minute.") from None
        try:
            async with self._cutting:
                octets = await self._octets(message_of_files(record), attachment)
            await self._note(record, attachment)
            return await _send(request, octets, _download(attachment, len(octets)))
        finally:
            self._downloads.release()

    async def _behind(self, token: str) -> tuple[TokenRecord, Agent, Message]:
        """What a link leads to. Raises the same refusal for every link that does not count."""
        with_, now = self._stationery(), self._clock.now()
        try:
            async with self._db.reading() as tx:
                record = (await tokens.by_tokens(tx, [token.lower()])).get(token.lower())
                agent = with_.policy.agents.get(record.agent) if record else None
                if record is None or agent is None:
                    raise not_found()
                ticket = (await tickets.by_ids(tx, [record.ticket])).get(record.ticket)
                verdict = judge(
                    with_.keyring,
                    record,
                    purposes=frozenset({FILES}),
                    speaker_agent=agent.name,
                    ticket_closed_at=ticket.closed_at if ticket else None,
                    now=now,
                    closed_days=with_.policy.closed_token_days,
                )
                message = await message_of(tx, message_of_files(record)) if verdict.ok else None
                if verdict.ok and message is None:
                    await sealed.normals(tx, [message_of_files(record)])  # a key that is missing may come back
        except Erased:
            raise not_found() from None
        except (StoreUnavailable, SealBroken) as error:
            log.warning("files_not_served", error=str(error))
            raise unavailable("The files cannot be read just now.") from None
        if message is None:
            raise not_found()
        return record, agent, message

    async def _octets(self, message: int, attachment: Attachment) -> bytes:
        try:
            async with self._db.reading() as tx:
                raw = (await sealed.raws(tx, [message]))[message]
            # Beside the loop: a mail of 30 MiB takes a moment to be cut.
            return await asyncio.to_thread(part_bytes, raw, attachment.path)
        except (KeyError, NoSuchPart, Erased):
            raise not_found() from None
        except (StoreUnavailable, SealBroken) as error:
            log.warning("files_not_served", error=str(error))
            raise unavailable("The files cannot be read just now.") from None

    async def _note(self, record: TokenRecord, attachment: Attachment) -> None:
        """Written down before the first octet leaves."""
        event = Event(
            at=self._clock.now(),
            kind="file_fetched",
            ticket=record.ticket,
            message=message_of_files(record),
            agent=record.agent,
            data={"path": attachment.path, "octets": attachment.size, "sha256": attachment.sha256},
        )
        try:
            async with self._db.transaction() as tx:
                await events.append(tx, [event])
        except StoreUnavailable as error:
            log.warning("files_not_served", error=str(error))
            raise unavailable("The files cannot be handed over just now.") from None
        tell(log, [event])


async def _send(request: web.Request, octets: bytes, headers: dict[str, str]) -> web.StreamResponse:
    """The file as an answer; in the end the connection is broken off, so that a part does not pass for the whole."""
    response = web.StreamResponse(headers={**_HEADERS, **headers})
    try:
        async with asyncio.timeout(SENDING):
            await response.prepare(request)
            for start in range(0, len(octets), CHUNK):
                await response.write(octets[start : start + CHUNK])
            await response.write_eof()
    except TimeoutError:
        log.warning("file_too_slow", octets=len(octets), within_s=SENDING)
        if request.transport is not None:
            request.transport.abort()
    except ConnectionError:
        pass  # he went away; what left was written down before
    return response


def _download(attachment: Attachment, octets: int) -> dict[str, str]:
    """Always a download: a page or a picture of a stranger's is not shown under our name (RFC 6266)."""
    plain = attachment.name.encode("ascii", "replace").decode().replace('"', "'").replace("\\", "_")
    whole = quote(attachment.name, safe="")
    return {
        hdrs.CONTENT_TYPE: "application/octet-stream",
        hdrs.CONTENT_LENGTH: str(octets),
        hdrs.CONTENT_DISPOSITION: f"attachment; filename=\"{plain}\"; filename*=UTF-8''{whole}",
    }


def _page(record: TokenRecord, agent: Agent, message: Message, with_: Stationery, now: datetime) -> str:
    language = dates.language_of(agent.language)

    def say(key: str, **facts: str) -> str:
        return escape(with_.texts.say(key, language, **facts))

    rows = "".join(
        f"<li><span><b>{escape(a.name)}</b><small>{size_words(a.size)}</small></span>"
        f'<form method="post" action="{FILES_PATH}/{record.token}/{number}"><button>{say("files.get")}</button>'
        "</form></li>"
        for number, a in enumerate(message.attachments)
    )
    until = dates.moment(record.expires_at, with_.policy.timezone, language, now) if record.expires_at else ""
    return (
        f'<!doctype html><html lang="{language}"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" '
        f'content="light dark"><title>#{record.ticket} · {escape(with_.policy.firm)}</title><style>{_STYLE}</style>'
        f"<main><h1>{say('files.title', ref=f'#{record.ticket}')}</h1><p>{say('files.unsafe')}</p><ul>{rows}</ul>"
        f"<footer>{say('files.until', until=until)}</footer></main></html>"
    )


def size_words(octets: int) -> str:
    """`12.3 MB`: a size as people say it."""
    if octets < 1_000_000:
        return f"{max(1, round(octets / 1000))}\u00a0kB"
    return f"{octets / 1_000_000:.1f}\u00a0MB"


_STYLE = """
:root{--ink:#1c2430;--soft:#5b6675;--line:#d9dee5;--paper:#fff;--ground:#f4f6f8;--accent:#1f5fbf}
@media(prefers-color-scheme:dark){:root{--ink:#e7ebf0;--soft:#9aa7b7;--line:#344150;--paper:#1b232d;--ground:#12181f;
--accent:#8ab4f8}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);
font:16px/1.6 system-ui,-apple-system,"Segoe UI","Noto Sans TC","Noto Sans SC",sans-serif}
main{max-width:640px;margin:6vh auto;padding:28px;background:var(--paper);border:1px solid var(--line);
border-radius:10px}
h1{font-size:20px;margin:0 0 4px}p,footer,small{color:var(--soft)}p{margin:0 0 18px}footer{font-size:14px}
ul{list-style:none;margin:0 0 18px;padding:0;border-top:1px solid var(--line)}
li{display:flex;gap:16px;align-items:center;justify-content:space-between;padding:12px 0;
border-bottom:1px solid var(--line)}
b{display:block;font-weight:600;overflow-wrap:anywhere}form{margin:0}
button{font:inherit;white-space:nowrap;color:var(--accent);background:none;border:1px solid currentColor;
border-radius:6px;padding:6px 14px;cursor:pointer}
button:focus-visible{outline:2px solid currentColor;outline-offset:2px}
@media(max-width:640px){main{margin:0;border:0;border-radius:0;min-height:100vh}}
""".replace("\n", "")
