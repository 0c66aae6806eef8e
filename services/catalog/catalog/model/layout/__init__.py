"""Seat layouts: from text to a grid and back. docs/seat-layouts.md describes the text form."""

from catalog.model.layout.grid import CATEGORIES, COUCHES, MAX_SEATS, MAX_TEXT, Layout
from catalog.model.layout.reading import parse_layout
from catalog.model.layout.writing import check_layout, format_layout

__all__ = [
    "CATEGORIES",
    "COUCHES",
    "MAX_SEATS",
    "MAX_TEXT",
    "Layout",
    "check_layout",
    "format_layout",
    "parse_layout",
]
