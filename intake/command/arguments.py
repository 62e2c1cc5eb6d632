"""The words of the command line: every command with its arguments, its help and an example."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version

from routing.words import Kind

DESCRIPTION = "A headless service desk: mail, chat and telephone in, every deadline kept."

EPILOG = """\
examples:
  intake run --demo                    try it on this machine: the page says what to do
  intake check                         is everything that config.toml names there?
  intake status                        what waits, what falls due next
  intake show 1042 --why               the story of ticket #1042, with the reasons of each decision
  intake explain mail.eml              what would become of this mail, and why
  intake due --channel email --kind complaint --at "2026-11-23 17:40"

On a terminal it answers in sentences, elsewhere in JSON, one object a line; --json and --text say which.
The configuration is --config, else $INTAKE_CONFIG, else ./config.toml, else /etc/intake/config.toml.

exit status: 0 done · 1 something was found wrong · 2 wrong arguments or configuration · 3 no such thing
  4 the store is not there, not reachable, or of another version · 5 the daemon cannot be asked
"""


def parser() -> argparse.ArgumentParser:
    """Everything that may be written behind `intake`."""
    # Before the command or behind it: a default of either would hide what was written at the other place.
    shared = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    shared.add_argument("--config", metavar="FILE", help="the configuration to go by")
    form = shared.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_const", const="json", dest="form", help="answer in JSON")
    form.add_argument("--text", action="store_const", const="text", dest="form", help="answer in sentences")
    main = argparse.ArgumentParser(
        prog="intake",
        description=DESCRIPTION,
        epilog=EPILOG,
        parents=[shared],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    main.add_argument("--version", action="version", version=f"intake {_version()}")
    commands = main.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def command(name: str, help_: str, example: str) -> argparse.ArgumentParser:
        return commands.add_parser(
            name,
            help=help_,
            description=help_[0].upper() + help_[1:] + ".",
            epilog=f"example:\n  {example}",
            parents=[shared],
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    for add in (_running, _looking, _parking, _explaining, _secrets, _signing_in, _enrolling):
        add(command)
    return main


Command = Callable[[str, str, str], argparse.ArgumentParser]


def _running(command: Command) -> None:
    run = command("run", "run the daemon until it is told to stop", "intake run --config /etc/intake/config.toml")
    run.add_argument("--demo", action="store_true", help="with the playground: a mail server of its own and a page")
    check = command("check", "check the configuration, and really connect to everything it names", "intake check")
    check.add_argument(
        "--probe-mail",
        action="store_true",
        help="send each mail channel one mail to itself: do its addresses carry tokens, who vouches for mail?",
    )


def _looking(command: Command) -> None:
    command("status", "show what waits, what falls due next, what is still to leave", "intake status")
    tickets = command("tickets", "list the open tickets, the nearest deadline first", "intake tickets --agent chen")
    tickets.add_argument("--all", action="store_true", help="closed ones too")
    tickets.add_argument("--agent", metavar="NAME", help="only those of one agent")
    tickets.add_argument("--channel", metavar="NAME", help="only those of one channel")
    tickets.add_argument("--limit", metavar="N", type=_from_one, default=200, help="at most so many (200)")
    show = command("show", "tell the whole story of a ticket", "intake show 1042 --why")
    show.add_argument("ticket", metavar="N", type=_ticket, help="its number, with or without #")
    show.add_argument("--why", action="store_true", help="with the reasons and candidates of each decision")
    show.add_argument("--language", choices=("en", "zh-Hant", "zh-Hans"), default="en", help="of those reasons (en)")
    command("verify", "check that the event log is as it was written", "intake verify")


def _parking(command: Command) -> None:
    command("parked", "list the messages that wait for an operator", "intake parked")
    park = command("park", "set a message aside", 'intake park 17 "sent by mistake, the customer asked"')
    park.add_argument("message", metavar="MESSAGE", type=_from_one, help="its number, which `show` and `parked` tell")
    park.add_argument("reason", metavar="REASON", nargs="+", help="why; it stands in the log")
    requeue = command("requeue", "put a parked message back into the queue", "intake requeue 17")
    requeue.add_argument("message", metavar="MESSAGE", type=_from_one, help="its number, which `parked` lists")


def _explaining(command: Command) -> None:
    explain = command(
        "explain",
        "say what would become of messages, and why, touching nothing",
        "intake explain *.eml | jq .kind\n  intake explain --jsonl - <messages.jsonl",
    )
    explain.add_argument("files", metavar="FILE", nargs="*", help="mails as they came (.eml); - is standard input")
    explain.add_argument("--jsonl", metavar="FILE", help="messages of any medium, one JSON object a line; - as above")
    explain.add_argument("--channel", metavar="NAME", help="as if they had come by this channel or medium (email)")
    explain.add_argument("--store", action="store_true", help="against the desk as it stands, not an empty one")
    due = command(
        "due",
        "say what would be promised, and how each deadline comes about",
        'intake due --channel email --kind complaint --at "2026-11-23 17:40" --urgent\n'
        "  intake due --calendar CN --tsv - <starts_and_budgets.tsv",
    )
    by = due.add_mutually_exclusive_group(required=True)
    by.add_argument("--channel", metavar="NAME", help="a channel, or a medium: email, chat, phone …")
    by.add_argument("--calendar", metavar="NAME", help="count budgets in this calendar: CN, TW, or one of your own")
    of = due.add_mutually_exclusive_group()
    of.add_argument("--tsv", metavar="FILE", help="with --calendar: lines of start, tab, budget; - is standard input")
    of.add_argument("--budget", metavar="BUDGET", help='with --calendar: one budget, "8wh", from --at on')
    due.add_argument("--kind", choices=[k.value for k in Kind], default=Kind.CONSULTATION.value, help="of the ticket")
    due.add_argument("--topic", metavar="NAME", default="", help="of the ticket")
    due.add_argument("--class", dest="customer_class", metavar="NAME", default="", help="of the customer")
    due.add_argument("--at", metavar="TIME", help="when it came; without a zone the desk's is meant (now)")
    due.add_argument("--urgent", action="store_true", help="as an urgent one")
    due.add_argument("--missed-call", action="store_true", help="as a call that nobody answered")


def _secrets(command: Command) -> None:
    secret = command("secret", "make a secret where config.toml says it lies", "intake secret new hotline")
    secret.add_argument("what", metavar="new", choices=["new"], help="new")
    secret.add_argument(
        "name", metavar="NAME", nargs="?", help='a channel, or "token-key"; without one the secret is printed'
    )
    secret.add_argument("--force", action="store_true", help="in place of the one that is there")


def _signing_in(command: Command) -> None:
    login = command(
        "login", "sign a mail channel in without a password (Google, Microsoft 365)", "intake login support-mail"
    )
    login.add_argument("channel", metavar="CHANNEL", help="a mail channel with a table [channels.CHANNEL.oauth]")


def _enrolling(command: Command) -> None:
    enrol = command(
        "enrol",
        "show by what agents' mail is known, or have an agent show it",
        "intake enrol\n  intake enrol chen\n  intake enrol --probe support-mail --through mx.firm.example",
    )
    enrol.add_argument(
        "agent", metavar="AGENT", nargs="?", help="send him a welcome, which he answers; without: a list"
    )
    enrol.add_argument("--channel", metavar="NAME", help="the mail channel that the welcome goes by (the first)")
    enrol.add_argument(
        "--probe", metavar="CHANNEL", help="send it a mail with Exchange's mark forged: does its server take that out?"
    )
    enrol.add_argument("--through", metavar="HOST[:PORT]", help="of a probe: the host that receives for the world")
    enrol.add_argument("--from", dest="from_", metavar="ADDRESS", help="of a probe: whose mail it is to be")


def _from_one(text: str) -> int:
    if not text.isdigit() or not 0 < int(text) < 2**63:
        raise argparse.ArgumentTypeError(f'"{text}" is no number')
    return int(text)


def _ticket(text: str) -> int:
    return _from_one(text.removeprefix("#"))


def _version() -> str:
    try:
        return version("intake-desk")
    except PackageNotFoundError:
        return "(not installed)"


def parsed(words: Sequence[str] | None = None) -> argparse.Namespace:
    """What was written. Exits 0 for --help, 2 for what is no command."""
    return parser().parse_args(words, argparse.Namespace(config=None, form=""))
