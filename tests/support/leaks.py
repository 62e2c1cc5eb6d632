"""What of the inside stands in a mail that reached a customer: looked for in all that a curious reader can see."""

from __future__ import annotations

import re
from email.message import EmailMessage

from support.firm import Firm, plain


def everything(mail: EmailMessage) -> str:
    """All that a curious customer can read in a mail: headers and every part, decoded."""
    texts = [part.get_content() for part in mail.walk() if part.get_content_maintype() == "text"]
    return "\n".join([*(f"{name}: {value}" for name, value in mail.items()), *texts, mail.as_string()])


def leaked(mail: EmailMessage, asked: EmailMessage, firm: Firm) -> list[str]:
    """What of the inside, and of the mail to the agent, stands in a mail to the customer."""
    shown = everything(mail)
    internal = plain(asked).partition("internal")[2]
    card = [line.strip() for line in internal.split("\n") if len(line.strip()) > 6]
    # The agents' conversation is theirs; the customer's own, if his Outlook began one, goes on.
    secret = [firm.chen, firm.wu, "以下僅供內部", str(asked["Thread-Index"]), str(asked["Message-ID"]), *card]
    # Each mail says once that it is the desk's, so that it is known when it returns: a digest, nothing else of ours.
    secret += [name for name in mail if name.startswith("X-Intake") and name != "X-Intake-Loop"]
    secret += re.findall(r"ik[tc]-?[a-z2-7]{16,}", shown.lower())
    return [words for words in secret if words in shown]
