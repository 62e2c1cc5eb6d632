"""`make fuzz`: made-up and damaged mails through parser, quote finder and threading, for longer than the tests do.

    python -m benchmarks.fuzz                         100,000 mails of seed 1
    python -m benchmarks.fuzz --count 5000 --seed 7
    python -m benchmarks.fuzz --only 7:4711           that one alone, with its traceback

A mail that breaks a rule of tests/support/fuzz_check.py is written to var/fuzz/ and the exit status is 1.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from support.fuzz_check import check  # noqa: E402  # after the path is set
from support.fuzz_mail import make  # noqa: E402

FOLDER = ROOT / "var" / "fuzz"
PROGRESS_SECONDS = 5.0
MAX_SHOWN = 20  # failures that are told in words


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100_000, help="how many mails; 100,000 by default")
    parser.add_argument("--seed", type=int, default=1, help="which mails; the same seed gives the same ones")
    parser.add_argument("--only", metavar="SEED:NUMBER", help="one mail alone")
    options = parser.parse_args()
    if options.only:
        seed, _, number = options.only.partition(":")
        print(f"{check(make(int(seed), int(number))) * 1000:.1f} ms")
        return
    sys.exit(1 if run(options.seed, options.count) else 0)


def run(seed: int, count: int) -> int:
    """Try `count` mails. Gives the number of those that failed."""
    failures = octets = 0
    worst, worst_number, cpu = 0.0, 0, 0.0
    start = shown = time.monotonic()
    for number in range(count):
        raw = make(seed, number)
        octets += len(raw)
        try:
            taken = check(raw)
        except Exception as error:  # noqa: BLE001  # whatever it is, it is what is looked for
            failures += 1
            if failures <= MAX_SHOWN:
                print(f"\nFAILED --only {seed}:{number} {error!r}; see {_keep(seed, number, raw)}", file=sys.stderr)
            continue
        cpu += taken
        if taken > worst:
            worst, worst_number = taken, number
        if time.monotonic() - shown > PROGRESS_SECONDS:
            shown = time.monotonic()
            rate = (number + 1) / (shown - start)
            told = f"\r{number + 1:,} of {count:,}, {rate:.0f}/s, failures={failures} "
            print(told, end="", file=sys.stderr, flush=True)
    seconds = time.monotonic() - start
    print(
        f"\n{count:,} mails of seed {seed}, {octets / 2**20:.0f} MiB, in {seconds:.0f} s:"
        f" {count / seconds:.0f} inputs/s; CPU {cpu / count * 1000:.2f} ms a mail, worst {worst * 1000:.0f} ms"
        f" (--only {seed}:{worst_number}); failures={failures}"
    )
    return failures


def _keep(seed: int, number: int, raw: bytes) -> Path:
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{seed}-{number}.eml"
    path.write_bytes(raw)
    return path.relative_to(ROOT)


if __name__ == "__main__":
    main()
