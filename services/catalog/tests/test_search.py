"""Folding as people type, and typos."""

import re
import unicodedata
from collections.abc import Callable

from catalog.model.search import (
    KEY_LETTERS,
    grams,
    search_form,
    search_words,
    sort_title,
    title_keys,
    title_pattern,
    typos,
    typos_allowed,
    words_of,
)
from hypothesis import given
from hypothesis import strategies as st

LETTERS = st.characters(categories=("Lu", "Ll", "Lt", "Lo", "Mn", "Mc", "Nd", "Pd", "Po", "Zs"))
TITLES = st.text(LETTERS, min_size=1, max_size=60)
SPELLINGS: list[Callable[[str], str]] = [
    str.upper,
    str.lower,
    lambda text: unicodedata.normalize("NFC", text),
    lambda text: unicodedata.normalize("NFD", text),
]


def test_words_are_compared_without_case_and_accents():
    assert words_of("Le Fabuleux Destin d’Amélie") == ["le", "fabuleux", "destin", "d", "amelie"]
    assert search_words("d’Amélie", "AMÉLIE für") == ["amelie", "d", "damelie", "fuer", "fur"]
    assert words_of("STRASSE straße ﬁlm Æon") == ["strasse", "strasse", "film", "aeon"]


def test_a_title_has_a_key_from_each_word_on():
    assert title_keys("Spider-Man 2") == ["2", "man2", "spiderman2"]
    assert title_keys("神隠し") == ["し", "神隠し", "隠し"]
    assert title_keys("a" * 200) == ["a" * KEY_LETTERS]


@given(TITLES)
def test_folding_twice_folds_no_more(title):
    assert search_form(search_form(title)) == search_form(title)
    assert sort_title(sort_title(title)) == sort_title(title) or sort_title(title).startswith(("the ", "a ", "an "))


@given(TITLES, st.sampled_from(SPELLINGS))
def test_case_and_composition_make_no_difference(title, typed):
    if title.upper().lower() == title.lower():
        assert words_of(typed(title)) == words_of(title)


@given(TITLES, st.integers(0, 60))
def test_whatever_is_typed_of_a_title_finds_it(title, end):
    """By its words, by their beginnings joined, and by the pattern that ranks it."""
    words = words_of(title)
    assert set(words) <= set(search_words(title))
    joined = "".join(words)
    typed = joined[:end]
    assert not words or any(key.startswith(typed[:KEY_LETTERS]) for key in title_keys(title))
    without_article = "".join(re.findall("[^ :]+", sort_title(title)))
    assert re.search(f"(^|[ :]){title_pattern(without_article[:end])}", sort_title(title))


def test_slips_of_the_finger_are_counted():
    assert typos("godfahter", "godfather") == typos("gdofather", "godfather") == typos("godfathr", "godfather") == 1
    assert typos("godf", "godfather") == 0, "it need not be finished"
    assert typos("gofd", "godfather") == 1
    assert (typos_allowed("cat"), typos_allowed("alien"), typos_allowed("godfahter")) == (0, 1, 2)
    assert set(grams("godfahter")) & set(grams("godfather"))
