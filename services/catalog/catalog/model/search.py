"""Search with typos: three-letter grams for finding candidates, and the distance of two words."""

MIN_LETTERS = 4
"""Shorter words are too similar to each other."""


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
