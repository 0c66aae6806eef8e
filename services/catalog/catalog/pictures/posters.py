"""Posters and backdrops as SVG, rendered from a film's data. The output is deterministic."""

import random
import textwrap
from collections.abc import Sequence
from html import escape
from zlib import crc32

from catalog.model import Art, Face
from catalog.pictures.motifs import MOTIFS, Canvas

PALETTES = (
    ("#14213d", "#fdf6e3", "#fca311", "#3d4f7c"),
    ("#2d1e2f", "#f7f0f5", "#f15152", "#6b4a6f"),
    ("#f4efe6", "#1f2a2c", "#2a9d8f", "#c9b79c"),
    ("#0b3142", "#f2f4f3", "#f9a03f", "#0f5257"),
)
FACES: dict[Face, tuple[str, int, float]] = {
    "sans": ("'Helvetica Neue',Helvetica,Arial,sans-serif", 800, 0.70),
    "serif": ("'Playfair Display',Didot,Georgia,'Times New Roman',serif", 700, 0.72),
    "condensed": ("'Oswald','Arial Narrow',Impact,'DejaVu Sans Condensed',sans-serif", 800, 0.58),
    "mono": ("'SF Mono',Menlo,Consolas,'DejaVu Sans Mono',monospace", 700, 0.62),
}
"""Lettering: font family, weight, and the width of a capital in em."""

NARROW = " IJijlft.,:;'’·!-1"
WIDTH, HEIGHT, MARGIN = 600, 900, 44
PICTURE, TITLE_FOOT, TITLE_HEIGHT = 690, 804, 190
"""The end of the picture, and the position and maximum height of the title."""


def art_of(movie_id: str, art: Art | None) -> Art:
    """The film's art, else one derived from its id."""
    if art:
        return art
    seed = random.Random(movie_id)  # noqa: S311 - chooses a picture, not a secret
    return Art(motif=seed.choice(sorted(MOTIFS)), palette=seed.choice(PALETTES), face=seed.choice(sorted(FACES)))


def poster(movie_id: str, title: str, year: int | None, directors: Sequence[str], art: Art | None) -> str:
    """A poster, 2:3, with title, directors and the year if it is known."""
    chosen = art_of(movie_id, art)
    ground, ink, main, _ = chosen.palette
    small = f'font-family="{FACES[chosen.face][0]}" font-size="19" fill="{ink}"'
    by, base = " & ".join(directors), HEIGHT - 38
    return (
        _open(WIDTH, HEIGHT, f"{title} ({year})" if year else title)
        + f'<rect width="{WIDTH}" height="{HEIGHT}" fill="{ground}"/>'
        + _picture(movie_id, chosen, WIDTH, PICTURE)
        + _title(title, chosen)
        + f'<rect x="{MARGIN}" y="{HEIGHT - 76}" width="{WIDTH - 2 * MARGIN}" height="3" fill="{main}"/>'
        + f'<text x="{MARGIN}" y="{base}" {small}{_fit(by, chosen.face, 19, 430)}>{escape(by)}</text>'
        + f'<text x="{WIDTH - MARGIN}" y="{base}" text-anchor="end" {small}>{year or ""}</text></svg>'
    )


def backdrop(movie_id: str, title: str, art: Art | None) -> str:
    """A wide picture, 16:9, without text, for the background of a page."""
    chosen = art_of(movie_id, art)
    ground = chosen.palette[0]
    picture = _picture(movie_id, chosen, 1600, 900)
    return _open(1600, 900, title) + f'<rect width="1600" height="900" fill="{ground}"/>{picture}</svg>'


def _open(width: int, height: int, label: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img"><title>{escape(label)}</title>'
    )


def _picture(movie_id: str, art: Art, width: int, height: int) -> str:
    chance = random.Random(crc32(movie_id.encode()))  # noqa: S311 - places dots, not a secret
    canvas = Canvas(width / 2, height / 2, *art.palette, chance)
    shapes = MOTIFS[art.motif](canvas)
    return (
        f'<clipPath id="c"><rect width="{width}" height="{height}"/></clipPath>'
        f'<g clip-path="url(#c)"><g transform="translate({width / 2:g} {height / 2:g})">{shapes}</g></g>'
    )


def _title(title: str, art: Art) -> str:
    """The title, with the number of lines that allows the largest size; the picture fades out behind it."""
    words, room = title.upper().split(), WIDTH - 2 * MARGIN

    def size(lines: Sequence[str]) -> float:
        return min(112, room / max(_ems(line, art.face) for line in lines), TITLE_HEIGHT / len(lines))

    lines = max((_wrap(words, count) for count in range(1, min(len(words), 4) + 1)), key=size)
    font_size = size(lines)
    family, weight, _ = FACES[art.face]
    rows = (
        f'<text x="{MARGIN}" y="{TITLE_FOOT - n * font_size * 0.96:.4g}"{_fit(line, art.face, font_size)}>'
        f"{escape(line)}</text>"
        for n, line in enumerate(reversed(lines))
    )
    style = f'font-family="{family}" font-weight="{weight}" font-size="{font_size:.4g}" fill="{art.palette[1]}"'
    return _fade(art.palette[0], TITLE_FOOT - font_size * 0.96 * len(lines)) + f"<g {style}>{''.join(rows)}</g>"


def _fade(ground: str, title_top: float) -> str:
    end = min(PICTURE, title_top + 20)
    stops = f'<stop offset="0" stop-color="{ground}" stop-opacity="0"/><stop offset="1" stop-color="{ground}"/>'
    return (
        f'<linearGradient id="f" x2="0" y2="1">{stops}</linearGradient>'
        f'<rect y="{end - 130:.4g}" width="{WIDTH}" height="130" fill="url(#f)"/>'
        f'<rect y="{end - 2:.5g}" width="{WIDTH}" height="{HEIGHT - end + 2:.4g}" fill="{ground}"/>'
    )


def _wrap(words: Sequence[str], count: int) -> list[str]:
    """Wrap words into at most `count` lines so that the longest line is as short as possible."""
    text = " ".join(words)
    width = max(-(-len(text) // count), *(len(word) for word in words), 1)
    while len(lines := textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)) > count:
        width += 1
    return lines


def _ems(text: str, face: Face) -> float:
    """The approximate width of a text in em."""
    if face == "mono":
        return len(text) * FACES[face][2]
    return FACES[face][2] * sum(0.45 if c in NARROW else 1.25 if c in "MW" else 0.8 if c.islower() else 1 for c in text)


def _fit(text: str, face: Face, size: float, most: float = WIDTH - 2 * MARGIN) -> str:
    """Attributes that give a text its planned width in any font."""
    return f' textLength="{min(_ems(text, face) * size, most):.4g}" lengthAdjust="spacingAndGlyphs"'
