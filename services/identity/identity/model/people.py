"""Finding people by what somebody remembers of them."""

import unicodedata

MAX_WORDS = 10


def search_words(text: str) -> list[str]:
    """The words of a name as they are looked for: without case and accents, each once."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    letters = "".join(character for character in plain if not unicodedata.combining(character))
    return list(dict.fromkeys(letters.split()))[:MAX_WORDS]
