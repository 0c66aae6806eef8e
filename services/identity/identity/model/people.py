"""Search of people by name."""

import unicodedata

MAX_WORDS = 10


def search_words(text: str) -> list[str]:
    """The distinct words of a name, without case and accents."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    letters = "".join(character for character in plain if not unicodedata.combining(character))
    return list(dict.fromkeys(letters.split()))[:MAX_WORDS]
