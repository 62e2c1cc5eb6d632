"""A mail channel: one mailbox in, one relay out, and a look at both for `intake check`."""

from __future__ import annotations

from pathlib import Path

from channels.adapter import Adapter, Clock, Tools
from channels.imap import ImapReceiver
from channels.mail_check import MailChecker
from channels.message import Medium
from channels.oauth_account import OAuthAccount
from channels.settings import MailSettings
from channels.smtp import Connections, SmtpSender


def build(name: str, settings: MailSettings, tools: Tools) -> Adapter:
    """The channel called `name` in config.toml. Does no input or output."""
    oauth = account_of(name, settings, Path(tools.state_dir), tools.clock)
    smtp, by_token = settings.signed_in_smtp, settings.oauth.signs_in if settings.oauth else ()
    pace, account = smtp.pace, smtp.account
    # Two channels of one account share its connections, or together they would open twice what it allows.
    line = tools.shared.setdefault(("smtp", account), Connections(pace.connections))
    sender = SmtpSender(smtp, settings.address, line, oauth if "smtp" in by_token else None)

    async def close() -> None:
        await sender.close()
        if oauth is not None:
            await oauth.close()

    return Adapter(
        channel=name,
        medium=Medium.EMAIL,
        receiver=ImapReceiver(name, settings.imap, tools, oauth if "imap" in by_token else None),
        sender=sender,
        checker=MailChecker(name, settings, tools.read_cursor, oauth, tools.clock),
        close=close,
        parallel=pace.connections + 2,  # some being sent, two ready behind them
        pace=pace,
        account=f"smtp {account}",
    )


def account_of(name: str, settings: MailSettings, state_dir: Path, clock: Clock) -> OAuthAccount | None:
    """Whose tokens sign the channel in; None where a password does. Does no input or output."""
    oauth = settings.oauth
    if oauth is None:
        return None
    path = token_file(name, settings, state_dir)
    return OAuthAccount(name, oauth, settings.imap.username, path, clock)


def token_file(name: str, settings: MailSettings, state_dir: Path) -> Path:
    """Where the login of a channel is saved."""
    written = settings.oauth.token_file if settings.oauth else None
    return written or state_dir / "oauth" / f"{name}.json"
