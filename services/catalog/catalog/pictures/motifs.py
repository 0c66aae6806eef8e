"""The pictures on posters and backdrops: flat shapes, one function for each motif.

A motif fills a canvas whose middle is (0, 0) with shapes as SVG, the same for the same `Canvas`. The ground is
there already. It keeps what matters within 300 units of the middle, so that it suits an
upright poster and a wide backdrop.
"""

import math
import random
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple


class Canvas(NamedTuple):
    """Half the width and half the height, the colours, and a source of chance that is seeded by the film."""

    half_width: float
    half_height: float
    ground: str
    ink: str
    main: str
    accent: str
    chance: random.Random


def _rect(x: float, y: float, width: float, height: float, fill: str, **more: Any) -> str:
    return f'<rect x="{x:.4g}" y="{y:.4g}" width="{width:.4g}" height="{height:.4g}" fill="{fill}"{_also(more)}/>'


def _disc(x: float, y: float, radius: float, fill: str, **more: Any) -> str:
    return f'<circle cx="{x:.4g}" cy="{y:.4g}" r="{radius:.4g}" fill="{fill}"{_also(more)}/>'


def _ring(x: float, y: float, radius: float, stroke: str, **more: Any) -> str:
    return _disc(x, y, radius, "none", stroke=stroke, **more)


def _shape(points: Iterable[tuple[float, float]], fill: str, **more: Any) -> str:
    return f'<polygon points="{" ".join(f"{x:.4g},{y:.4g}" for x, y in points)}" fill="{fill}"{_also(more)}/>'


def _path(d: str, stroke: str, width: float, **more: Any) -> str:
    return f'<path d="{d}" fill="none" stroke="{stroke}" stroke-width="{width:.4g}"{_also(more)}/>'


def _also(more: Mapping[str, Any]) -> str:
    """More attributes; an underscore in a name stands for SVG's hyphen."""
    values = {name: f"{value:.4g}" if isinstance(value, float) else value for name, value in more.items()}
    return "".join(f' {name.replace("_", "-")}="{value}"' for name, value in values.items())


def _polar(radius: float, degrees: float) -> tuple[float, float]:
    return radius * math.cos(math.radians(degrees)), radius * math.sin(math.radians(degrees))


def _wedge(inner: float, outer: float, begin: float, end: float) -> list[tuple[float, float]]:
    return [_polar(inner, begin), _polar(outer, begin), _polar(outer, end), _polar(inner, end)]


def towers(c: Canvas) -> str:
    """A city of towers in front of rays."""
    rays = [_shape(_wedge(0, 1200, a, a + 5), c.accent, opacity=0.55) for a in range(-180, 0, 10)]
    parts = [f'<g transform="translate(0 190)">{"".join(rays)}</g>']
    for x in range(-760, 761, 58):
        distance = abs(x)
        height = 470 - distance * 0.42 + c.chance.uniform(-60, 60)
        shade = c.ground if distance % 116 < 58 else c.accent
        parts.append(_rect(x - 29, 330 - height, 58, height + 300, shade))
        lit = [(column, level) for column in (-14, 6) for level in range(20, int(height), 26)]
        parts += [
            _rect(x + column, 330 - height + level, 8, 12, c.main) for column, level in lit if c.chance.random() < 0.45
        ]
    return "".join(parts)


def windows(c: Canvas) -> str:
    """A house front at night, some windows lit, under a moon."""
    parts = [_disc(120, -220, 95, c.main)]
    for x in range(-765, 766, 90):
        top = -40 + c.chance.choice([-70, 0, 50])
        parts.append(_rect(x - 45, top, 86, 700, c.accent))
        for y in range(top + 26, 460, 62):
            for column in (-30, 4):
                lit = c.chance.random() < 0.3
                parts.append(_rect(x + column, y, 24, 36, c.main if lit else c.ground))
    return "".join(parts)


def arches(c: Canvas) -> str:
    """Arch behind arch, with a light at the end."""

    def arch(width: float, fill: str) -> str:
        return f'<path d="M{-width} 460V-20a{width} {width * 1.15} 0 0 1 {2 * width} 0V460z" fill="{fill}"/>'

    widths = range(int(c.half_width) + 220, 70, -55)
    return "".join(arch(width, (c.main, c.accent)[n % 2]) for n, width in enumerate(widths)) + arch(78, c.ground)


def tunnel(c: Canvas) -> str:
    """A tunnel with somebody at its end, who throws a long shadow."""
    rings = [_disc(0, 60 - n * 12, 900 * 0.72**n, (c.accent, c.main)[n % 2], opacity=0.5 + n * 0.07) for n in range(7)]
    light = _disc(0, -32, 96, "#ffffff", opacity=0.85)
    shadow = _shape([(-14, 30), (14, 30), (150, 460), (-190, 460)], c.ground, opacity=0.9)
    person = _disc(0, -70, 15, c.ground) + _rect(-24, -78, 48, 6, c.ground)
    coat = _shape([(-18, -54), (18, -54), (26, 34), (-26, 34)], c.ground)
    return "".join(rings) + light + shadow + coat + person + _rect(-15, -94, 30, 18, c.ground)


def rain(c: Canvas) -> str:
    """Slanting rain and one umbrella."""
    parts: list[str] = []
    for _ in range(int(c.half_width / 2.2)):
        x, y = c.chance.uniform(-c.half_width - 200, c.half_width), c.chance.uniform(-460, 460)
        length = c.chance.uniform(30, 110)
        parts.append(_path(f"M{x:.4g} {y:.4g}l{length * 0.35:.4g} {length:.4g}", c.main, 5, stroke_linecap="round"))
    edge = "q-35 -42 -70 0" * 6
    canopy = f'<path d="M-210 20A210 210 0 0 1 210 20{edge}z" fill="{c.accent}"/>'
    stick = _path("M0 -190V210a34 34 0 0 0 68 0", c.main, 13, stroke_linecap="round")
    return "".join(parts) + f'<g transform="rotate(-14)">{stick}{canopy}</g>'


def slashes(c: Canvas) -> str:
    """A field cut by slanting blades."""
    parts: list[str] = []
    for n in range(-12, 13):
        x, tilt = n * 92 + c.chance.uniform(-20, 20), c.chance.uniform(150, 210)
        width, fill = c.chance.uniform(16, 70), (c.accent, c.main, c.accent)[n % 3]
        parts.append(_shape([(x, -460), (x + width, -460), (x + width * 0.3 - tilt, 460), (x - tilt, 460)], fill))
    cut = [(-1400, 60), (1400, -150), (1400, -96), (-1400, 74)]
    return "".join(parts) + _shape(cut, c.ground)


def dial(c: Canvas) -> str:
    """A clock, with the hours from five to seven filled in."""
    hours = [_shape(_wedge(252, 300 if h % 3 else 318, h * 30 - 1.6, h * 30 + 1.6), c.accent) for h in range(12)]
    begin, end = _polar(235, 60), _polar(235, 120)
    sector = f'<path d="M0 0L{begin[0]:.4g} {begin[1]:.4g}A235 235 0 0 1 {end[0]:.4g} {end[1]:.4g}z" fill="{c.main}"/>'
    hands = _path("M0 0V205", c.ink, 10, stroke_linecap="round") + _path("M0 0L-70 -110", c.ink, 14)
    return (
        _ring(0, 0, 350, c.accent, stroke_width=4)
        + _ring(0, 0, 420, c.accent, stroke_width=2)
        + "".join(hours)
        + sector
        + hands
        + _disc(0, 0, 18, c.main)
    )


def eclipse(c: Canvas) -> str:
    """Sun, planet and moon in one line over a slab."""
    stars = [
        _disc(
            c.chance.uniform(-c.half_width, c.half_width),
            c.chance.uniform(-450, 450),
            c.chance.uniform(0.6, 2.2),
            "#fff",
        )
        for _ in range(140)
    ]
    glow = "".join(_disc(0, -190, 120 + n * 34, c.main, opacity=0.26 - n * 0.05) for n in range(5))
    planet = _disc(0, 260, 470, c.accent) + _disc(0, 274, 470, c.ground)
    slab = _shape([(-62, -60), (62, -60), (62, 400), (-62, 400)], "#000", stroke=c.main, stroke_width=2)
    return "".join(stars) + glow + _disc(0, -190, 86, c.main) + planet + slab


def rose(c: Canvas) -> str:
    """A rose seen from above."""
    parts: list[str] = []
    for ring, (radius, petals) in enumerate([(300, 9), (235, 8), (175, 7), (118, 6), (66, 5)]):
        for n in range(petals):
            angle = n * 360 / petals + ring * 23
            x, y = _polar(radius * 0.52, angle)
            parts.append(
                f'<ellipse cx="{x:.4g}" cy="{y:.4g}" rx="{radius * 0.5:.4g}" ry="{radius * 0.46:.4g}" '
                f'fill="{(c.accent, c.main)[(ring + n) % 2]}" stroke="{c.ground}" stroke-width="3" '
                f'transform="rotate({angle:.4g} {x:.4g} {y:.4g})"/>'
            )
    return "".join(parts) + _path("M-30 4a30 30 0 1 1 34 26a20 20 0 1 1 -18 -24", c.ground, 5)


def radar(c: Canvas) -> str:
    """A tracker with one contact, close."""
    rings = [_ring(0, 120, radius, c.main, stroke_width=2, opacity=0.75) for radius in range(70, 1000, 70)]
    spokes = [
        _path(f"M0 120L{x:.4g} {y + 120:.4g}", c.accent, 2) for x, y in (_polar(1000, a) for a in range(0, 360, 15))
    ]
    sweep = [
        f'<g transform="translate(0 120)">{_shape(_wedge(0, 1000, a, a + 4.2), c.main, opacity=0.02 + n * 0.025)}</g>'
        for n, a in enumerate(range(-130, -60, 4))
    ]
    contact = "".join(_disc(66, -128, radius, c.main, opacity=0.25) for radius in (44, 30)) + _disc(
        66, -128, 15, c.main
    )
    return "".join(spokes) + "".join(rings) + "".join(sweep) + contact + _disc(0, 120, 9, c.main)


def equalizer(c: Canvas) -> str:
    """Sound as bars, built up one by one."""
    parts: list[str] = []
    for x in range(-760, 761, 40):
        loud = 8 + 9 * math.exp(-((x / 260) ** 2)) * c.chance.uniform(0.6, 1.1)
        for level in range(int(loud)):
            fill = c.main if level > loud - 3 else c.accent
            parts.append(_rect(x - 16, 330 - level * 36, 32, 26, fill))
    return "".join(parts)


def road(c: Canvas) -> str:
    """A road to the horizon, with burning tracks and lightning."""
    stripes = [_rect(-900, -40 - n * 44, 1800, 30 - n * 4, c.main, opacity=1 - n * 0.13) for n in range(6)]
    disc = '<clipPath id="sun"><circle cy="-20" r="250"/></clipPath>'
    sun = f'{disc}<g clip-path="url(#sun)">{"".join(stripes)}</g>'
    ground = _rect(-900, 0, 1800, 500, c.accent) + _shape([(-18, 0), (18, 0), (520, 500), (-520, 500)], c.ground)
    tracks = [_shape([(s * 5, 0), (s * 8, 0), (s * 250, 500), (s * 150, 500)], c.main) for s in (-1, 1)]
    bolt = [(30, -460), (-40, -250), (10, -256), (-26, -60), (78, -306), (24, -300), (80, -460)]
    return sun + ground + "".join(tracks) + _shape(bolt, "#ffffff")


def wings(c: Canvas) -> str:
    """A pair of wings."""
    feathers: list[str] = []
    for length, count, fill in [(330, 13, c.main), (230, 11, "#ffffff"), (140, 9, c.main)]:
        bow = f"M0 0Q{length * 0.55:.4g} {length * -0.14:.4g} {length} 0Q{length * 0.55:.4g} {length * 0.1:.4g} 0 0z"
        for n in range(count):
            turn = f"translate(16 40) rotate({-78 + n * 118 / count:.4g})"
            look = f'fill="{fill}" stroke="{c.ground}" stroke-width="2"'
            feathers.append(f'<path d="{bow}" {look} transform="{turn}"/>')
    wing = "".join(feathers)
    return f'{_disc(0, -210, 64, c.accent)}{wing}<g transform="scale(-1 1)">{wing}</g>'


def heat(c: Canvas) -> str:
    """A sun that melts into stripes."""
    bands = [_path(_wave(c, y, 9 + n, 150), c.ground, 5 + n * 2.6) for n, y in enumerate(range(-130, 250, 36))]
    haze = "".join(_ring(0, -60, 300 + n * 70, c.accent, stroke_width=26) for n in range(9))
    return haze + _disc(0, -60, 270, c.main) + "".join(bands)


def _wave(c: Canvas, y: float, height: float, length: float) -> str:
    begin = -math.ceil(c.half_width / length + 1) * length
    swings = math.ceil(-begin / length) * 2
    return f"M{begin} {y}q{length / 4:.4g} {-height} {length / 2:.4g} 0" + f"t{length / 2:.4g} 0" * (swings * 2 - 1)


def halftone(c: Canvas) -> str:
    """Printer's dots that grow towards a corner, over a slipped colour."""
    slip = _shape([(-c.half_width, 130), (c.half_width, -250), (c.half_width, 150), (-c.half_width, 460)], c.accent)
    dots: list[str] = []
    for row, y in enumerate(range(-450, 451, 34)):
        for x in range(-800, 801, 34):
            shifted = x + row % 2 * 17
            size = 17 * max(0.0, 1 - math.hypot(shifted - 60, y + 60) / 430)
            if size > 1.5:
                dots.append(_disc(shifted, y, size, c.main))
    return slip + "".join(dots)


def spiral(c: Canvas) -> str:
    """A spiral that draws everything in."""
    reach = math.hypot(c.half_width, c.half_height)

    def arm(turn: float) -> str:
        points = [_polar(reach * (t / 160) ** 1.5, t * 9 + turn) for t in range(161)]
        inner = [_polar(reach * (t / 160) ** 1.5, t * 9 + turn + 62) for t in range(160, -1, -1)]
        return _shape(points + inner, c.main if turn else c.accent)

    return arm(0) + arm(180) + _disc(0, 0, 7, c.main)


def cascade(c: Canvas) -> str:
    """Columns of signs that fall."""
    parts = [_rect(-900, -460, 1800, 920, c.accent, opacity=0.35)]
    for x in range(-int(c.half_width), int(c.half_width), 24):
        head, length = c.chance.randrange(-380, 520), c.chance.randrange(9, 26)
        for n in range(length):
            cells = [(column, row) for column in (0, 7) for row in (0, 7, 14) if c.chance.random() < 0.6]
            sign = "".join(f"M{x + column} {head - n * 27 + row}h6v6h-6z" for column, row in cells)
            parts.append(f'<path d="{sign}" fill="{c.main if n else "#eafff0"}"{_also({"opacity": 1 - n / length})}/>')
    return "".join(parts)


def waves(c: Canvas) -> str:
    """A moon over water, and a lantern."""
    parts = [_disc(0, -170, 150, c.ink)]
    for n in range(9):
        y, fill = -20 + n * 52, (c.accent, c.ground)[n % 2]
        parts.append(f'<path d="{_wave(c, y, 26, 210 - n % 3 * 24)}V500H{-c.half_width - 300:.4g}z" fill="{fill}"/>')
    lantern = _rect(-44, -40, 88, 118, c.main, rx=34) + "".join(
        _path(f"M{x} -38Q{x * 1.5} 19 {x} 76", c.ground, 3) for x in (-26, 0, 26)
    )
    return "".join(parts) + _path("M0 -90V-40", c.ground, 4) + lantern + _rect(-24, -48, 48, 12, c.ground)


def ripples(c: Canvas) -> str:
    """A stone has skipped over the water: rings that meet."""
    rings = [
        _ring(x, y, n * 46, c.accent if n % 2 else c.ink, stroke_width=9 - n * 0.7, opacity=1 - n * 0.07)
        for x, y, count in ((-150, 190, 5), (10, 40, 7), (150, -180, 9))
        for n in range(1, count + 1)
    ]
    return "".join(rings) + "".join(_disc(x, y, 21, c.main) for x, y in ((-150, 190), (10, 40), (150, -180)))


def labyrinth(c: Canvas) -> str:
    """A round maze with a way in."""
    parts = [_disc(0, 0, 338, c.accent)]
    for n, radius in enumerate(range(58, 340, 35)):
        opens, length = c.chance.randrange(360), 2 * math.pi * radius
        gap = {"stroke_dasharray": f"{length - 44:.5g} 44", "transform": f"rotate({opens})"}
        parts.append(_ring(0, 0, radius, c.main, stroke_width=9, **gap))
        for _ in range(1 + n // 2 if radius < 330 else 0):
            angle = opens - c.chance.uniform(40, 320)
            (x, y), (x2, y2) = _polar(radius, angle), _polar(radius + 35, angle)
            parts.append(_path(f"M{x:.4g} {y:.4g}L{x2:.4g} {y2:.4g}", c.main, 9))
    return "".join(parts) + _disc(0, 0, 20, c.main)


def planet(c: Canvas) -> str:
    """A dusty world with one sprout on it."""
    stacks = [
        _rect(x, 150 - height, 46, height + 320, c.main, opacity=0.28)
        for x in range(-800, 801, 52)
        if (height := c.chance.uniform(40, 330))
    ]
    sun = _disc(0, -70, 190, c.accent, opacity=0.9)
    hill = f'<ellipse cx="0" cy="640" rx="{c.half_width + 260:.4g}" ry="440" fill="{c.main}"/>'
    stem = _path("M0 210Q-8 120 6 40", "#3f7d3a", 12, stroke_linecap="round")
    leaves = "".join(
        f'<path d="M4 70Q{s * 30} -10 {s * 112} 4Q{s * 84} 78 4 70z" fill="{fill}"/>'
        for s, fill in ((-1, "#4f9d48"), (1, "#6bbf59"))
    )
    return "".join(stacks) + sun + hill + stem + leaves


def facade(c: Canvas) -> str:
    """A grand front, the same on the left and on the right."""
    parts = [
        _shape([(x - 300, 420), (x, -330 + abs(x) * 0.2), (x + 300, 420)], c.accent) for x in (-860, -440, 440, 860)
    ]
    parts += [
        _rect(-270, -110, 540, 460, c.main),
        _rect(-290, -130, 580, 24, c.ink),
        _rect(-110, -210, 220, 80, c.main),
    ]
    parts += [_shape([(-126, -210), (0, -300), (126, -210)], c.ink), _path("M0 -300V-360", c.ink, 5)]
    parts += [_shape([(0, -360), (44, -348), (0, -334)], c.ink), _rect(-1100, 348, 2200, 260, c.ink)]
    for y in range(-84, 250, 86):
        for x in range(-225, 226, 75):
            if x or y < 150:
                parts.append(f'<path d="M{x - 19} {y + 62}v-43a19 19 0 0 1 38 0v43z" fill="{c.accent}"/>')
    parts.append(f'<path d="M-34 350v-80a34 34 0 0 1 68 0v80z" fill="{c.ink}"/>')
    return f'<g transform="translate(0 -24) scale(0.8)">{"".join(parts)}</g>'


def stairs(c: Canvas) -> str:
    """Stairs that divide above from below, and somebody on them."""
    left, right, count = -c.half_width, c.half_width, int(c.half_width / 25)
    rise = 640 / count
    light = [(left, -460), (right, -460), (right, -260), (left, 40)]
    points = [(left, 460.0), (right, 460.0)]
    for n in reversed(range(count)):
        points += [(left + n * 50 + 50, 300 - n * rise), (left + n * 50, 300 - n * rise)]
    person = _disc(0, -126, 17, c.ink) + _rect(-15, -106, 30, 62, c.ink, rx=12)
    legs = _rect(-13, -60, 11, 60, c.ink) + _rect(3, -60, 11, 60, c.ink)
    place = f"translate({left + count // 2 * 50 + 25:.4g} {300 - count // 2 * rise:.4g})"
    return (
        _shape(light, c.accent, opacity=0.45)
        + _disc(c.half_width * 0.45, 100 - c.half_height, 56, c.main)
        + _shape(points, c.main)
        + f'<g transform="{place}">{person}{legs}</g>'
    )


def burst(c: Canvas) -> str:
    """Everything at once, around a ring that swallows it."""
    parts: list[str] = []
    colours = (c.main, c.accent, "#ffd166", "#fff6e0", "#8f6bff")
    for ring in range(26, 0, -1):
        radius, count = 110 + ring * 34, 10 + ring * 4
        for n in range(count):
            x, y = _polar(radius, n * 360 / count + ring * 7)
            parts.append(_disc(x, y, 5 + ring * 0.62 * c.chance.uniform(0.5, 1.2), c.chance.choice(colours)))
    return (
        "".join(parts)
        + _ring(0, 0, 94, "#050308", stroke_width=52)
        + _ring(0, 0, 68, c.accent, stroke_width=3)
        + _disc(0, 0, 16, "#fff6e0")
    )


Motif = Callable[[Canvas], str]
MOTIFS: dict[str, Motif] = {
    motif.__name__: motif
    for motif in (
        towers, windows, arches, tunnel, rain, slashes, dial, eclipse, rose, radar, equalizer, road,
        wings, heat, halftone, spiral, cascade, waves, ripples, labyrinth, planet, facade, stairs, burst,
    )
}  # fmt: skip
