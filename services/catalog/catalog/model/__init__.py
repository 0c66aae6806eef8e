"""Catalog's rules: no I/O and no clock."""

from catalog.model.layout import (
    CATEGORIES,
    COUCHES,
    MAX_SEATS,
    MAX_TEXT,
    Layout,
    check_layout,
    format_layout,
    parse_layout,
)
from catalog.model.movies import Art, Face
from catalog.model.prices import Tariff, price_from
from catalog.model.problems import CatalogProblem, LayoutInvalid, LocalTimeInvalid, NotFound, PriceMissing
from catalog.model.schedule import ADVERTS, CLEANING, SALES_OPEN_BEFORE, Slot, Terms, local_moment, plan_day
from catalog.model.search import sort_title, words_of

__all__ = [
    "ADVERTS",
    "CATEGORIES",
    "CLEANING",
    "COUCHES",
    "MAX_SEATS",
    "MAX_TEXT",
    "SALES_OPEN_BEFORE",
    "Art",
    "CatalogProblem",
    "Face",
    "Layout",
    "LayoutInvalid",
    "LocalTimeInvalid",
    "NotFound",
    "PriceMissing",
    "Slot",
    "Tariff",
    "Terms",
    "check_layout",
    "format_layout",
    "local_moment",
    "parse_layout",
    "plan_day",
    "price_from",
    "sort_title",
    "words_of",
]
