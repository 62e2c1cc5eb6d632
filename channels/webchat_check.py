"""What `intake check` says of a web chat: are the origins well written, is the session key there and ours alone?"""

from __future__ import annotations

import re
import stat

from channels.adapter import CheckLine, CheckState, Fatal
from channels.settings import AS_THE_SERVICE, WebchatSettings
from channels.webchat_tokens import key_file, read_key

_ORIGIN = re.compile(r"https?://(\[[0-9a-f:]+\]|[a-z0-9.-]+)(:[0-9]{1,5})?")
_LOOPBACK = re.compile(r"http://(localhost|127\.0\.0\.1|\[::1\])(:|$)")

_Fault = tuple[CheckState, str, str]  # state, problem, mend
_NONE: _Fault = (CheckState.OK, "", "")


class Checker:
    """Looks at what the chat stands on. A page cannot be opened from here: only the firm's site can do that."""

    def __init__(self, name: str, settings: WebchatSettings, state_dir: str) -> None:
        self._name = name
        self._settings = settings
        self._state_dir = state_dir

    async def check(self) -> list[CheckLine]:
        """One line."""
        faults = (self._written(), self._key(), self._encrypted())
        state, problem, mend = next((fault for fault in faults if fault != _NONE), _NONE)
        found = "origins " + ", ".join(origin.partition("://")[2] for origin in self._settings.origins)
        return [CheckLine(subject="chat", name=self._name, found=found, state=state, problem=problem, mend=mend)]

    def _written(self) -> _Fault:
        if not self._settings.origins:
            return (CheckState.BAD, "no site may open the chat", 'list it: origins = ["https://www.firm.example"]')
        for origin in self._settings.origins:
            if not _ORIGIN.fullmatch(origin):
                mend = 'write scheme, host and port alone, in lower case: "https://www.firm.example"'
                return (CheckState.BAD, f'no browser sends the origin "{origin}"', mend)
        return _NONE

    def _key(self) -> _Fault:
        made = key_file(self._state_dir, self._name)
        secret = self._settings.session_key
        try:
            path = secret.path() if secret else made
            if secret is None and not path.exists():
                return _NONE  # it is made at the first start
            read_key(self._settings, made)
            if path.stat().st_mode & stat.S_IROTH:
                return (CheckState.BAD, f"everybody on this machine can read {path}", f"chmod o-r {path}")
        except (OSError, ValueError, Fatal) as error:
            mend = "put 32 random octets as text into the file that session_key names"
            mend = AS_THE_SERVICE if secret is not None and secret.is_awaited else mend
            return (CheckState.BAD, f"the session key cannot be read: {error}", mend)
        return _NONE

    def _encrypted(self) -> _Fault:
        for origin in self._settings.origins:
            if origin.startswith("http://") and not _LOOPBACK.match(origin):
                return (CheckState.WARNING, f"{origin} is not encrypted", "serve the site over https")
        return _NONE
