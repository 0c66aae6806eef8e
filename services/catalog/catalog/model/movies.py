"""Films: how a poster is drawn, and texts as searching and sorting compare them."""

import re
import unicodedata
from typing import Annotated, Literal

from contracts.types import Shape
from pydantic import StringConstraints

Colour = Annotated[str, StringConstraints(pattern=r"^#[0-9a-f]{6}$")]
Face = Literal["sans", "serif", "condensed", "mono"]


class Art(Shape):
    """How a film's poster is drawn: a motif of `motifs.py`, the lettering, and ground, text, main colour, accent."""

    motif: str
    palette: tuple[Colour, Colour, Colour, Colour]
    face: Face


def folded(text: str) -> str:
    """A text as searching and sorting compare it: lower case, without accents."""
    plain = unicodedata.normalize("NFKD", text).casefold()
    return "".join(character for character in plain if not unicodedata.combining(character))


def words_of(*texts: str) -> list[str]:
    """The words of some texts, folded, each once, sorted."""
    return sorted(set(re.findall(r"\w+", folded(" ".join(texts)))))


def sort_title(title: str) -> str:
    """Where a title stands in a list: without its English article, as libraries file it."""
    return re.sub(r"^(the|an?) (?=\w)", "", " ".join(re.findall(r"[\w:]+", folded(title))))
