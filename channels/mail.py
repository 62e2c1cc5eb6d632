"""A mail channel: one mailbox in, one relay out, and a look at both for `intake check`."""

from __future__ import annotations

from channels.adapter import Adapter, Tools
from channels.imap import ImapReceiver
from channels.mail_check import MailChecker
from channels.message import Medium
from channels.settings import MailSettings
from channels.smtp import Connections, SmtpSender


def build(name: str, settings: MailSettings, tools: Tools) -> Adapter:
    """The channel called `name` in config.toml. Does no input or output."""
    pace, account = settings.smtp.pace, settings.smtp.account
    # Two channels of one account share its connections, or together they would open twice what it allows.
    line = tools.shared.setdefault(("smtp", account), Connections(pace.connections))
    sender = SmtpSender(settings.smtp, settings.address, line)
    return Adapter(
        channel=name,
        medium=Medium.EMAIL,
        receiver=ImapReceiver(name, settings.imap, tools),
        sender=sender,
        checker=MailChecker(name, settings, tools.read_cursor),
        close=sender.close,
        parallel=pace.connections + 2,  # some being sent, two ready behind them
        pace=pace,
        account=f"smtp {account}",
    )
