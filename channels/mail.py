"""A mail channel: a mailbox in, or a door, or both; one relay out; and a look at each for `intake check`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from channels.adapter import Adapter, Clock, Receiver, Tools
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

    receiver, door = _ways_in(name, settings, tools, oauth if "imap" in by_token else None)

    async def close() -> None:
        await sender.close()
        if oauth is not None:
            await oauth.close()

    return Adapter(
        channel=name,
        medium=Medium.EMAIL,
        receiver=receiver,
        door=door,
        sender=sender,
        checker=MailChecker(name, settings, tools.read_cursor, oauth, tools.clock),
        close=close,
        parallel=pace.connections + 2,  # some being sent, two ready behind them
        pace=pace,
        account=f"smtp {account}",
    )


def _ways_in(
    name: str, settings: MailSettings, tools: Tools, account: OAuthAccount | None
) -> tuple[Receiver | None, Receiver | None]:
    """The mailbox's reader or, where there is none, the door; then the door beside a mailbox."""
    mailbox = ImapReceiver(name, settings.imap, tools, account) if settings.imap is not None else None
    if settings.lmtp is None:
        return mailbox, None
    from channels.lmtp import LmtpReceiver  # needs the extra "lmtp"

    if mailbox is None:
        return LmtpReceiver(name, settings.lmtp, tools), None
    note = tools.progress_of("door") if tools.progress_of else tools.progress
    return mailbox, LmtpReceiver(name, settings.lmtp, replace(tools, progress=note))


def account_of(name: str, settings: MailSettings, state_dir: Path, clock: Clock) -> OAuthAccount | None:
    """Whose tokens sign the channel in; None where a password does. Does no input or output."""
    oauth = settings.oauth
    if oauth is None:
        return None
    path = token_file(name, settings, state_dir)
    return OAuthAccount(name, oauth, settings.login_name, path, clock)


def token_file(name: str, settings: MailSettings, state_dir: Path) -> Path:
    """Where the login of a channel is saved."""
    written = settings.oauth.token_file if settings.oauth else None
    return written or state_dir / "oauth" / f"{name}.json"
