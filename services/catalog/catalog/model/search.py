"""Search as people type: folded texts, titles without spaces and punctuation, and typos."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

MIN_LETTERS = 4
"""Shorter words are too similar to each other."""
KEY_LETTERS = 40
"""Longer words are compared by so many letters."""
_LETTERS = str.maketrans({
    "ø": "o", "ł": "l", "đ": "d", "ð": "d", "ħ": "h", "ŧ": "t", "ı": "i", "ŋ": "n", "æ": "ae", "œ": "oe", "þ": "th",
    "ґ": "г", "ى": "ي", "ی": "ي", "ک": "ك", "ة": "ه", "ـ": None, "ʻ": "'", "ʼ": "'", "&": " and ",
})  # fmt: skip
"""Letters that Unicode does not decompose, Arabic letters that keyboards mix up, and signs within words."""
_SPELLED_OUT = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "å": "aa"})
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
"""Scripts without spaces between words: Thai, Lao, Burmese, Khmer, Japanese and Chinese."""


def folded(text: str) -> str:
    """A text in lower case, without accents. Ids are made of it, so it must not change: see `search_form`."""
    plain = unicodedata.normalize("NFKD", text).casefold()
    return "".join(character for character in plain if not unicodedata.combining(character))


def search_form(text: str) -> str:
    """A text folded for search and sorting: `folded`, and each letter as most keyboards have it."""
    plain = folded(text).translate(_LETTERS)
    return "".join(character for character in plain if unicodedata.category(character) != "Cf")


def words_of(text: str) -> list[str]:
    """The folded words of a text, in its order."""
    return _split(search_form(text))


def search_words(*texts: str) -> list[str]:
    """The words by which texts are found, sorted: `spider`, `man` and `spiderman`; `madchen` and `maedchen`."""
    spellings = {*texts, *(unicodedata.normalize("NFC", text).casefold().translate(_SPELLED_OUT) for text in texts)}
    forms = [search_form(text) for text in spellings]
    words = {word for form in forms for word in _split(form)}
    joined = {"".join(_split(part)) for form in forms for part in form.split()}
    return sorted((words | joined) - {""})


def title_keys(*titles: str) -> list[str]:
    """The titles without spaces and punctuation, from each word on; in scripts without spaces, from each letter on."""
    keys: set[str] = set()
    for title in titles:
        words = words_of(title)
        for place, word in enumerate(words):
            rest = "".join(words[place:])
            starts = [0, *(at for at in range(1, len(word)) if _UNSPACED.match(word[at]))]
            keys |= {rest[at : at + KEY_LETTERS] for at in starts}
    return sorted(keys)


def sort_title(title: str) -> str:
    """The sort key of a title: folded, without an English article."""
    return re.sub(r"^(the|an?) (?=\w)", "", " ".join(_split(search_form(title), kept=":")))


def title_pattern(word: str) -> str:
    """A regular expression that finds a typed word in a `sort_title`, in spite of spaces and of spelled-out umlauts."""
    letters = re.sub(r"(?<=[aou])e|(?<=a)a", r"\g<0>?", word[:KEY_LETTERS])
    return "[ :]*".join(re.findall(r".\??", letters))


class SearchFields(NamedTuple):
    """What search and sorting need of a film. `keys` are no words, so that no typo is corrected to them."""

    sort_title: str
    words: list[str]
    keys: list[str]


def search_fields(film: Mapping[str, Any]) -> SearchFields:
    """The fields by which a film is found: by its titles, people and genres."""
    titles = film["title"], film["original_title"], *film.get("other_titles", [])
    crew: Iterable[Mapping[str, str]] = film.get("crew", [])
    people = [*film.get("directors", []), *film.get("cast", []), *(credit["name"] for credit in crew)]
    words = search_words(*titles, *people, *film.get("genres", []))
    return SearchFields(sort_title(film["title"]), words, title_keys(*titles))


def _split(form: str, kept: str = "") -> list[str]:
    """The parts of a text with letters, their marks, and digits."""
    return "".join(each if each.isalnum() or each in kept or _is_mark(each) else " " for each in form).split()


def _is_mark(character: str) -> bool:
    return unicodedata.category(character) in {"Mn", "Mc"}


def grams(word: str) -> list[str]:
    """A word's three-letter grams, with a marked beginning: ` go`, `god`, `odf` … (Ukkonen's q-grams)."""
    marked = f" {word}"
    return sorted({marked[at : at + 3] for at in range(max(len(marked) - 2, 1))})


def typos_allowed(word: str) -> int:
    """The maximum number of typos in a word of this length."""
    return 0 if len(word) < MIN_LETTERS else 1 if len(word) < 8 else 2


def typos(typed: str, word: str) -> int:
    """The minimum number of edits (insertion, deletion, substitution, transposition) from the typed text to a
    prefix of the word, so that a word need not be finished. (Optimal string alignment distance to a prefix.)
    """
    before: list[int] = []
    row = list(range(len(word) + 1))
    for i, letter in enumerate(typed, 1):
        before, above, row = row, before, [i]
        for j, other in enumerate(word, 1):
            best = min(before[j - 1] + (letter != other), before[j] + 1, row[j - 1] + 1)
            if i > 1 < j and letter == word[j - 2] and typed[i - 2] == other:
                best = min(best, above[j - 2] + 1)
            row.append(best)
    return min(row)
