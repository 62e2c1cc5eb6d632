"""`make bench`: what this machine takes in a second, the whole way.

    python -m benchmarks                 everything, a table at the end
    python -m benchmarks mail            only this: mail, latency, phone, chat, telegram, limit, stall, classify
    python -m benchmarks mail --json
    python -m benchmarks routing_sim     days of a desk, worked by the real routing and by others; only by name
    python -m benchmarks routing_sim --full        longer, with 2,000 agents; draws docs/pictures/routing.svg
    python -m benchmarks deadlines       a million open ones; only by name: it takes minutes
    python -m benchmarks backlog --size 200000     a mailbox full at the first start; only by name: it takes minutes

The real daemon runs as a process of its own; a real Dovecot holds the mail. Figures go to docs/performance.md by hand,
with their command: a figure without its machine says nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from benchmarks import (  # noqa: E402  # after the path is set
    backlog,
    chat,
    classify,
    deadlines,
    latency,
    limit,
    mail,
    phone,
    routing_sim,
    stall,
    telegram,
)

BENCHES = {
    "mail": mail.run,
    "latency": latency.run,
    "phone": phone.run,
    "chat": chat.run,
    "telegram": telegram.run,
    "limit": limit.run,
    "stall": stall.run,
    "classify": classify.run,
}

#: Asked for by name alone: they take minutes.
BY_NAME = {
    "deadlines": lambda options: deadlines.run(),
    "backlog": lambda options: backlog.run(options.size),
    "routing_sim": lambda options: routing_sim.run(full=options.full),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("which", nargs="*", choices=[*BENCHES, *BY_NAME, []], help="which benches; all by default")
    parser.add_argument("--size", type=int, default=backlog.SIZE, help="mails in the mailbox of backlog")
    parser.add_argument("--full", action="store_true", help="of routing_sim: everything, and the picture")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    options = parser.parse_args()
    for name in options.which or BENCHES:
        print(f"-- {name} …", file=sys.stderr)
        for row in BY_NAME[name](options) if name in BY_NAME else BENCHES[name]():
            if options.json:
                print(json.dumps({"bench": name, **row}))
            else:
                print(f"{name:6} " + "  ".join(f"{k} {v}" for k, v in row.items()))
            sys.stdout.flush()


if __name__ == "__main__":
    main()
