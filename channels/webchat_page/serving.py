"""The chat's static files as the browser gets them: read once, compressed once, with strict headers.

The panel is one document. Under PATH it is a page of its own, under PATH/panel it fills the frame that the
widget puts into the firm's site, so that nothing of the site's styles reaches it. What it loads carries a digest
in its address and may be kept for ever; the documents themselves are asked for anew each time.
"""

from __future__ import annotations

import gzip
import hashlib
import html
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from importlib import resources

from aiohttp import web

FOR_EVER = "public, max-age=31536000, immutable"
ASK_AGAIN = "no-cache"
FIVE_MINUTES = "public, max-age=300"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class _File:
    body: bytes
    packed: bytes
    etag: str
    media_type: str
    cache: str


def _file(text: str, media_type: str, cache: str) -> _File:
    body = text.encode()
    return _File(body, gzip.compress(body, 9, mtime=0), f'"{digest(text)}"', media_type, cache)


def digest(text: str) -> str:
    """Short name of a version."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def content_policy(origins: Sequence[str]) -> str:
    """The Content-Security-Policy (level 3): nothing from elsewhere, framed by the listed sites alone."""
    framed_by = " ".join(origins) or "'none'"
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' ws: wss:; "
        "img-src 'self' data:; base-uri 'none'; form-action 'none'; "
        f"frame-ancestors {framed_by}"
    )


def mount(app: web.Application, path: str, firm: str, origins: Sequence[str]) -> None:
    """Add the page, the panel and their files under `path`."""
    folder = resources.files("channels.webchat_page")
    texts = {name: (folder / name).read_text("utf-8") for name in ("panel.html", "panel.css", "panel.js", "widget.js")}
    version = digest(texts["panel.css"] + texts["panel.js"])
    policy = content_policy(origins)

    def document(base: str) -> str:
        marks = {"{{firm}}": html.escape(firm), "{{base}}": html.escape(base), "{{version}}": version}
        text = texts["panel.html"]
        for mark, value in marks.items():
            text = text.replace(mark, value)
        return text

    # Relative addresses, so that a proxy in front may mount the whole under another prefix.
    own = path.rsplit("/", 1)[1]
    page = "text/html; charset=utf-8"
    script = "text/javascript; charset=utf-8"
    files = {
        path: _file(document(own), page, ASK_AGAIN),
        f"{path}/panel": _file(document("."), page, ASK_AGAIN),
        f"{path}/panel.css": _file(texts["panel.css"], "text/css; charset=utf-8", FOR_EVER),
        f"{path}/panel.js": _file(texts["panel.js"], script, FOR_EVER),
        f"{path}/widget.js": _file(texts["widget.js"], script, FIVE_MINUTES),
    }
    for address, file in files.items():
        app.router.add_get(address, _handler(file, policy))


def _handler(file: _File, policy: str) -> Handler:
    headers = {
        "Content-Type": file.media_type,
        "Cache-Control": file.cache,
        "ETag": file.etag,
        "Vary": "Accept-Encoding",
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        # The widget is loaded by the firm's site, which is another origin.
        "Cross-Origin-Resource-Policy": "cross-origin",
    }

    async def handle(request: web.Request) -> web.StreamResponse:
        if request.headers.get("If-None-Match") == file.etag:
            return web.Response(status=304, headers=headers)
        if "gzip" in request.headers.get("Accept-Encoding", ""):
            return web.Response(body=file.packed, headers={**headers, "Content-Encoding": "gzip"})
        return web.Response(body=file.body, headers=headers)

    return handle
