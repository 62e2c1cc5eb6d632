"""`python -m benchmarks.weights`: learn the classifier's weights anew, and write them to intake/texts/weights.txt.

To be run after `intake/texts/taxonomy.toml` or `intake/texts/examples/` was changed (a test says when). A linear
support vector machine for each label against the others, by dual coordinate descent (Hsieh et al. 2008, "A Dual
Coordinate Descent Method for Large-scale Linear SVM", algorithm 1, squared hinge loss), in plain Python, always with
the same result. Words of the taxonomy are short examples of their own: a strong one counts as two.
"""

from __future__ import annotations

import hashlib
import random
import sys
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import log, sqrt
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT)]

from routing import weighing  # noqa: E402  # after the path is set
from routing.grams import comparable, grams  # noqa: E402

TAXONOMY = ROOT / "intake/texts/taxonomy.toml"
EXAMPLES = ROOT / "intake/texts/examples"
WEIGHTS = ROOT / "intake/texts/weights.txt"
KINDS = ("complaint", "feedback", "business", "consultation")
URGENT = "urgent"
SCRIPTS = ("hant", "hans", "en")
COST = 1.0  # of an example on the wrong side
PAIR = 2  # characters
PASSES = 12  # over the examples; more change nothing that is measured
MIN_WEIGHT = 40  # hundredths; what is smaller for a label is left out, and nothing measured gets worse


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """A sentence, and what it is. None: it says nothing of that."""

    text: str
    topic: str | None = None
    kind: str | None = None
    urgent: bool | None = None
    topics: frozenset[str] = frozenset()  # accepted as well, where it is measured
    count: int = 1
    is_word: bool = False  # of the taxonomy, not a sentence


def read_examples(text: str) -> list[Example]:
    """Sections `[topic kind]`, a sentence a line: "!! " before an urgent one, "\\n" for a new line, at the end " || "
    and topics that are accepted as well."""
    found: list[Example] = []
    topic = kind = ""
    for line in text.splitlines():
        if line.startswith("[") and line.endswith("]") and " " in line:
            topic, kind = line[1:-1].split()
        elif line and not line.startswith("# "):
            said, _, also = line.removeprefix("!! ").replace("\\n", "\n").partition(" || ")
            found.append(
                Example(
                    text=said,
                    topic=topic,
                    kind=kind,
                    urgent=line.startswith("!! "),
                    topics=frozenset(also.split()),
                )
            )
    return found


def shipped_examples() -> list[Example]:
    return [one for path in sorted(EXAMPLES.glob("*.txt")) for one in read_examples(path.read_text("utf-8"))]


def words_of(taxonomy: Mapping[str, Mapping[str, Mapping[str, list[str]]]]) -> list[Example]:
    """Every word of the taxonomy as an example of what it is evidence for."""
    points: dict[tuple[str, str], int] = {}
    for key, entry in taxonomy["topic"].items():
        for count, strength in ((1, "weak"), (2, "strong")):
            for script in SCRIPTS:
                points.update({(comparable(word), key): count for word in entry[f"{script}_{strength}"]})
    found = [Example(text=word, topic=topic, count=count, is_word=True) for (word, topic), count in points.items()]
    cues = {(comparable(w), k) for k, table in taxonomy["kind"].items() for s in SCRIPTS for w in table[s]}
    found += [Example(text=word, kind=kind, is_word=True) for word, kind in sorted(cues)]
    for name, is_urgent in ((URGENT, True), (f"not_{URGENT}", False)):
        said = {comparable(str(word)) for script in SCRIPTS for word in taxonomy[name][script]}
        found += [Example(text=word, urgent=is_urgent, is_word=True) for word in sorted(said)]
    return found


def version_of(examples: Iterable[Example]) -> str:
    """A hash of everything that is learned from."""
    facts = (repr((e.text, e.topic, e.kind, e.urgent, e.count, e.is_word)) for e in examples)
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:16]


def learned(examples: Sequence[Example]) -> str:
    """The file of weights that these examples give."""
    texts = [grams(comparable(one.text)) for one in examples]
    seen = Counter(gram for text in texts for gram in text)
    rarity = {gram: log((1 + len(texts)) / (1 + count)) + 1 for gram, count in seen.items()}
    sizes = [sqrt(sum(rarity[g] ** 2 for g in text)) or 1.0 for text in texts]
    index = {gram: at for at, gram in enumerate(sorted(seen))}
    rows = [[(index[g], rarity[g] / size) for g in sorted(text)] for text, size in zip(texts, sizes, strict=True)]
    topics = list(dict.fromkeys(one.topic for one in examples if one.topic))
    lanes: list[list[float]] = []
    biases: list[int] = []
    for signs, cost in _problems(examples, topics):
        vector = _separated([(rows[at], sign, examples[at].count) for at, sign in signs], len(index), cost)
        lanes.append(vector)
        biases.append(round(vector[-1] * weighing.SCALE))
    words = {gram for one, text in zip(examples, texts, strict=True) if one.is_word for gram in text}
    table: dict[str, list[int]] = {}
    for gram, at in index.items():
        if seen[gram] == 1 and gram not in words and not (len(gram) == PAIR and gram[0] != "$"):
            continue  # seen once, and neither short nor in a word of the taxonomy: half of the file, and of no use
        weights = [round(vector[at] * rarity[gram] * weighing.SCALE) for vector in lanes]
        kept = [w if abs(w) >= MIN_WEIGHT else 0 for w in weights]
        if any(kept):
            table[gram] = [*kept, round(rarity[gram] ** 2 * weighing.SCALE)]
    return weighing.written(table, (*topics, *KINDS, URGENT), biases, version_of(examples))


def _problems(
    examples: Sequence[Example], topics: Sequence[str]
) -> Iterable[tuple[list[tuple[int, int]], tuple[float, float]]]:
    """For each label: examples with +1 or -1, and what a positive and a negative one cost on the wrong side."""
    for topic in topics:
        yield [(i, 1 if e.topic == topic else -1) for i, e in enumerate(examples) if e.topic], (COST, COST)
    for kind in KINDS:
        yield [(i, 1 if e.kind == kind else -1) for i, e in enumerate(examples) if e.kind], (COST, COST)
    signs = [(i, 1 if e.urgent else -1) for i, e in enumerate(examples) if e.urgent is not None]
    positive = sum(sign > 0 for _, sign in signs) or 1
    # What is urgent is rare: both sides weigh the same.
    half = len(signs) / 2
    yield signs, (COST * half / positive, COST * half / max(len(signs) - positive, 1))


def _separated(
    some: Sequence[tuple[list[tuple[int, float]], int, int]], size: int, cost: tuple[float, float]
) -> list[float]:
    """The vector that tells the positive ones from the others; its last place is the bias."""
    vector = [0.0] * (size + 1)
    alphas = [0.0] * len(some)
    order = list(range(len(some)))
    shuffle = random.Random(1).shuffle
    for _ in range(PASSES):
        shuffle(order)
        for at in order:
            row, sign, count = some[at]
            slack = 1 / (2 * count * (cost[0] if sign > 0 else cost[1]))
            said = vector[-1]
            for place, value in row:
                said += vector[place] * value
            gradient = sign * said - 1 + alphas[at] * slack
            if gradient >= 0 and not alphas[at]:
                continue
            # The row's own length is 1, and the bias counts as a gram of size 1.
            new = max(alphas[at] - gradient / (2 + slack), 0.0)
            step = (new - alphas[at]) * sign
            alphas[at] = new
            if step:
                vector[-1] += step
                for place, value in row:
                    vector[place] += step * value
    return vector


def all_examples() -> list[Example]:
    """Everything that the shipped weights are learned from."""
    return [*shipped_examples(), *words_of(tomllib.loads(TAXONOMY.read_text("utf-8")))]


def main() -> None:
    WEIGHTS.write_text(learned(all_examples()), "utf-8")
    print(f"{WEIGHTS.relative_to(ROOT)}: {WEIGHTS.stat().st_size} octets")


if __name__ == "__main__":
    main()
