"""What `intake check` says of a Telegram bot: is the token right, does anybody else read it, can posts reach us?"""

from __future__ import annotations

from telegram.error import InvalidToken, TelegramError

from channels.adapter import CheckLine, CheckState, Fatal
from channels.path_secret import secret_problem
from channels.settings import AS_THE_SERVICE, TelegramSettings
from channels.telegram_api import Api


class TelegramChecker:
    """Asks Telegram who the bot is, and how it is read. Nothing is changed there."""

    def __init__(self, name: str, settings: TelegramSettings) -> None:
        self._name = name
        self._settings = settings

    async def check(self) -> list[CheckLine]:
        """One line; the token is never shown."""
        if (wrong := self._secrets()) is not None:
            return [wrong]
        api = Api(self._name, self._settings)
        try:
            bot = api.open()
            me = await bot.get_me()
            hook = await bot.get_webhook_info()
        except Fatal as wrong_token:
            return [self._line(CheckState.BAD, str(wrong_token).partition(": ")[2], self._new_token)]
        except InvalidToken:
            return [self._line(CheckState.BAD, "Telegram does not know this token", self._new_token)]
        except TelegramError as error:
            problem = f"Telegram cannot be reached: {api.failure(error)}"
            return [self._line(CheckState.BAD, problem, "look at the way out to api_url, and at proxy")]
        finally:
            await api.close()
        found = f"@{me.username}, {self._way}"
        if self._settings.webhook_path is None and hook.url:
            # The address may hold somebody's secret: it is not shown.
            problem = "a webhook is set, so that asking for updates is refused"
            return [self._line(CheckState.BAD, problem, "end the other program, and call deleteWebhook", found)]
        if self._settings.webhook_path is not None and hook.last_error_message:
            problem = f"Telegram could not post: {hook.last_error_message[:200]}"
            return [self._line(CheckState.WARNING, problem, "let it reach webhook_url over https", found)]
        waiting = f", {hook.pending_update_count} waiting" if hook.pending_update_count else ""
        return [self._line(CheckState.OK, found=found + waiting)]

    @property
    def _way(self) -> str:
        return "asks for updates" if self._settings.webhook_path is None else "posts to " + self._settings.webhook_path

    @property
    def _new_token(self) -> str:
        return f"ask @BotFather for it (/mybots, API Token) and put it into the file of channels.{self._name}.token"

    def _secrets(self) -> CheckLine | None:
        for secret, what in ((self._settings.token, "token"), (self._settings.webhook_secret, "webhook_secret")):
            if secret is None:
                continue
            mend = self._new_token if what == "token" else f"intake secret new {self._name}"
            try:
                text = secret.read()
                is_open = secret.is_readable_by_others()
            except (OSError, ValueError) as wrong:
                mend = AS_THE_SERVICE if secret.is_awaited else mend
                return self._line(CheckState.BAD, f"{what} cannot be read: {wrong}", mend)
            if what == "webhook_secret" and (problem := secret_problem(text)):
                return self._line(CheckState.BAD, problem, mend)
            if is_open:
                problem = f"everybody on this machine can read {what}"
                return self._line(CheckState.WARNING, problem, f"chmod 600 {secret.path()}")
        return None

    def _line(self, state: CheckState, problem: str = "", mend: str = "", found: str = "") -> CheckLine:
        found = found or f"bot, {self._way}"
        return CheckLine(subject="telegram", name=self._name, found=found, state=state, problem=problem, mend=mend)
