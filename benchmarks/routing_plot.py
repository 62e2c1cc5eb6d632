"""The picture of the days: share of first responses in time for each way of giving out work, as SVG.

One colour in four strengths, dark text on light paper and light on dark; on paper it prints like the light one. Every
bar has its figure beside it, so that nothing hangs on the colours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from xml.sax.saxutils import escape

PICTURE = Path(__file__).parent.parent / "docs" / "pictures" / "routing.svg"
WAYS = ("round robin", "longest idle", "least loaded", "ours", "oracle")
LABELS = {"ours": "intake", "oracle": "one who knows everything"}

LEFT, TOP, BAR, GAP, GROUP, WIDTH, LINE = 250, 132, 17, 5, 34, 430, 21
_STYLE = """
    text { font-family: system-ui, "Segoe UI", "Noto Sans", sans-serif; }
    .page { fill: #ffffff; stroke: #d0d7de; }
    .name, .group { fill: #1f2328; }
    .name { font-size: 18px; font-weight: 650; }
    .group { font-size: 14px; font-weight: 650; }
    .say, .way, .figure { fill: #4b545d; font-size: 12.5px; }
    .way { text-anchor: end; }
    .mine { fill: #1f2328; font-weight: 650; }
    .grid { stroke: #d0d7de; }
    .spread { stroke: #1f2328; stroke-width: 1.5; }
    .halo { stroke: #ffffff; stroke-width: 4.5; }
    .b0 { fill: #cfe3df; } .b1 { fill: #a9cec7; } .b2 { fill: #7fb5ab; } .b3 { fill: #1d6b61; }
    .b4 { fill: none; stroke: #1d6b61; stroke-width: 1.5; stroke-dasharray: 4 3; }
    @media (prefers-color-scheme: dark) {
      .page { fill: #11171a; stroke: #30383e; }
      .name, .group, .mine { fill: #e8eef3; }
      .say, .way, .figure { fill: #aeb8c1; }
      .mine { fill: #e8eef3; }
      .grid { stroke: #30383e; }
      .spread { stroke: #e8eef3; }
      .halo { stroke: #11171a; }
      .b0 { fill: #24413f; } .b1 { fill: #2f5c57; } .b2 { fill: #3d7a71; } .b3 { fill: #6fd0bf; }
      .b4 { stroke: #6fd0bf; }
    }
"""


def draw(shown: Mapping[tuple[int, str], Mapping[str, Sequence[float]]], path: Path = PICTURE) -> None:
    """`shown`: (agents, day) -> way -> shares of first responses in time, one a seed."""
    path.write_text(drawn(shown), encoding="utf-8")


def drawn(shown: Mapping[tuple[int, str], Mapping[str, Sequence[float]]]) -> str:
    """The picture as text."""
    parts: list[str] = []
    y = TOP
    for (agents, day), ways in shown.items():
        parts.append(f'<text class="group" x="28" y="{y + 13}">{agents:,} agents, {escape(day)}</text>')
        y += LINE + 4
        for place, way in enumerate(WAYS):
            if way in ways:
                parts += _bar(place, way, ways[way], y)
                y += BAR + GAP
        y += GROUP - GAP
    bottom = y - GROUP + 8
    grid = [
        f'<line class="grid" x1="{_x(share)}" x2="{_x(share)}" y1="{TOP - 8}" y2="{bottom}"/>'
        f'<text class="say" x="{_x(share)}" y="{TOP - 14}" text-anchor="middle">{share:.0%}</text>'
        for share in (0.0, 0.25, 0.5, 0.75, 1.0)
    ]
    height, width = bottom + 22, LEFT + WIDTH + 100
    about = "; ".join(
        f"{agents:,} agents, {day}: " + ", ".join(f"{LABELS.get(w, w)} {mean(v):.1%}" for w, v in ways.items())
        for (agents, day), ways in shown.items()
    )
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
            ' role="img" aria-labelledby="title about">',
            '  <title id="title">First responses in time, by how work is given out</title>',
            f'  <desc id="about">{escape(about)}</desc>',
            f"  <style>{_STYLE}  </style>",
            f'  <rect class="page" x=".5" y=".5" width="{width - 1}" height="{height - 1}" rx="14"/>',
            '  <text class="name" x="28" y="40">First responses in time</text>',
            '  <text class="say" x="28" y="62">by how work is given out, on the same days; the lines across the ends:'
            " how far seeds lie apart</text>",
            '  <text class="say" x="28" y="80">dashed: whoever knows who is really there, and how long each'
            " will take</text>",
            *(f"  {one}" for one in (*grid, *parts)),
            "</svg>\n",
        ]
    )


def _x(share: float) -> float:
    return round(LEFT + WIDTH * share, 1)


def _bar(place: int, way: str, values: Sequence[float], y: int) -> list[str]:
    middle = mean(values)
    spread = stdev(values) if len(values) > 1 else 0.0
    mine = " mine" if way == "ours" else ""
    found = [
        f'<text class="way{mine}" x="{LEFT - 10}" y="{y + 13}">{escape(LABELS.get(way, way))}</text>',
        f'<rect class="b{place}" x="{LEFT}" y="{y}" width="{round(WIDTH * middle, 1)}" height="{BAR}" rx="2"/>',
    ]
    end = _x(min(1.0, middle + spread))
    if spread:
        start = _x(middle - spread)
        found += [
            f'<line class="{name}" x1="{start}" x2="{end}" y1="{y + BAR / 2}" y2="{y + BAR / 2}"/>'
            for name in ("halo", "spread")
        ]
    found.append(f'<text class="figure{mine}" x="{LEFT + WIDTH + 16}" y="{y + 13}">{middle * 100:.1f} %</text>')
    return found
