"""Line charts as SVG, side by side under one legend."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

PANEL_WIDTH, PANEL_HEIGHT, GAP = 340, 240, 80
LEFT, TOP = 60, 60
COLOURS = ("#1f6feb", "#d1242f", "#1a7f37", "#9a6700", "#8250df")

Series = Mapping[str, Sequence[tuple[float, float]]]


@dataclass(frozen=True, slots=True)
class Panel:
    """One chart. ``series``: points by name, x growing."""

    title: str
    x: str
    y: str
    series: Series


def step(most: float, lines: int = 5) -> float:
    """A round distance between grid lines, for up to ``lines`` of them."""
    if most <= 0:
        return 1.0
    rough = most / lines
    power = 10.0 ** floor(log10(rough))
    return next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough)


def ticks(most: float) -> list[float]:
    """Where grid lines go, from 0 to the first at or above ``most``."""
    distance = step(most)
    return [round(distance * index, 6) for index in range(ceil(most / distance - 1e-9) + 1)]


def text(x: float, y: float, words: str, anchor: str = "middle", size: int = 12) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}">{escape(words)}</text>'


def drawn(panel: Panel, left: float, colours: Mapping[str, str]) -> list[str]:
    """The elements of one chart whose left edge is there."""
    points = [point for one in panel.series.values() for point in one]
    xs = ticks(max((x for x, _ in points), default=1.0))
    ys = ticks(max((y for _, y in points), default=1.0))
    bottom = TOP + PANEL_HEIGHT

    def at(x: float, y: float) -> tuple[float, float]:
        return left + PANEL_WIDTH * x / xs[-1], bottom - PANEL_HEIGHT * y / ys[-1]

    found = [text(left + PANEL_WIDTH / 2, TOP - 12, panel.title, size=14)]
    for value in ys:
        _, y = at(0, value)
        found.append(
            f'<line x1="{left}" y1="{y:.1f}" x2="{left + PANEL_WIDTH}" y2="{y:.1f}" stroke="#d0d7de"/>'
        )
        found.append(text(left - 6, y + 4, f"{value:g}", "end", 11))
    for value in xs:
        x, _ = at(value, 0)
        found.append(text(x, bottom + 16, f"{value:g}", size=11))
    found.append(text(left + PANEL_WIDTH / 2, bottom + 34, panel.x))
    middle = TOP + PANEL_HEIGHT / 2
    found.append(
        f'<g transform="rotate(-90 {left - 42} {middle})">{text(left - 42, middle, panel.y)}</g>'
    )
    for name, series in panel.series.items():
        places = [at(x, y) for x, y in series]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        colour = colours[name]
        found.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        found += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places]
    return found


def svg(panels: Sequence[Panel], caption: Sequence[str]) -> str:
    """A picture of these charts, with lines of text below."""
    names = list(dict.fromkeys(name for panel in panels for name in panel.series))
    colours = {name: COLOURS[index % len(COLOURS)] for index, name in enumerate(names)}
    width = LEFT + len(panels) * (PANEL_WIDTH + GAP)
    height = TOP + PANEL_HEIGHT + 60 + 16 * len(caption)
    found = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="sans-serif" fill="#1f2328">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    x = float(LEFT)
    for name in names:
        found.append(f'<rect x="{x:.0f}" y="14" width="14" height="4" fill="{colours[name]}"/>')
        found.append(text(x + 20, 20, name, "start"))
        x += 44 + 8 * len(name)
    for index, panel in enumerate(panels):
        found += drawn(panel, LEFT + index * (PANEL_WIDTH + GAP), colours)
    for index, words in enumerate(caption):
        found.append(text(LEFT, TOP + PANEL_HEIGHT + 60 + 16 * index, words, "start", 11))
    return "\n".join([*found, "</svg>", ""])
