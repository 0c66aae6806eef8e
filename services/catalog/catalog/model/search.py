"""Finding what was typed badly: pieces of words to look candidates up by, and how far apart two words are."""

MIN_LETTERS = 4
"""Of shorter words nearly every one is near every other."""


def grams(word: str) -> list[str]:
    """A word's pieces of three letters, its beginning marked: ` go`, `god`, `odf` … (Ukkonen's q-grams)."""
    marked = f" {word}"
    return sorted({marked[at : at + 3] for at in range(max(len(marked) - 2, 1))})


def typos_allowed(word: str) -> int:
    """How many slips of the finger a word of this length may have and still be recognised."""
    return 0 if len(word) < MIN_LETTERS else 1 if len(word) < 8 else 2


def typos(typed: str, word: str) -> int:
    """The fewest slips (a letter added, left out, wrong, or swapped with the next) that turn what was typed into the
    beginning of the word, so that a word need not be finished. (Optimal string alignment distance to a prefix.)
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
