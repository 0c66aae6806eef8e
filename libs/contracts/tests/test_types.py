"""Names refuse what nobody can see; texts lose it."""

import pytest
from contracts.types import Name, clean_name, clean_text
from pydantic import TypeAdapter, ValidationError

NAME = TypeAdapter(Name)
FINE = [
    "Amélie",
    "Amélie",
    "千と千尋の神隠し",
    "אין מילים",
    "Ромео & Джульетта",
    "می\u200cخواهم",  # Persian needs the non-joiner
    "क्\u200dष",  # a half letter of Devanagari needs the joiner
    "ශ්\u200dරී",
    "I ❤️ Huckabees",
    "1️⃣2️⃣ Angry Men",
    "葛\U000e0100城",  # a variant of an ideograph
    "M*A*S*H – 4K",
]
HIDDEN = [
    *("\x00", "\t", "\n", "\r", "\x1b", "\x7f", "\x85"),
    *("\u00ad", "\u200b", "\u2060", "\ufeff", "\u180e", "\U000e0041", "\ue000"),
    *("\u200e", "\u200f", "\u061c", *map(chr, range(0x202A, 0x202F)), *map(chr, range(0x2066, 0x206A))),
    *("\u2028", "\u2029", "\u200c", "\u200d", "\u3164", "\u2800", "\u115f"),
    *("\ufe00", "\ufe0f", "\u180b", "\U000e0100", "\u2065", "\ufff0", "\U000e0fff"),
]


@pytest.mark.parametrize("name", FINE)
def test_names_in_any_script_are_accepted_as_they_are(name: str):
    assert NAME.validate_python(f" {name} ") == name


@pytest.mark.parametrize("character", HIDDEN, ids=lambda character: f"U+{ord(character):04X}")
def test_a_name_with_an_invisible_or_direction_changing_character_is_refused(character: str):
    with pytest.raises(ValidationError, match=rf"U\+{ord(character):04X}"):
        NAME.validate_python(f"Ada{character}Lovelace")
    assert NAME.validate_python(clean_name(f" Ada {character} Lovelace\u200b ")).split() == ["Ada", "Lovelace"]


@pytest.mark.parametrize("mark", ["\u0301", "\u0e47", "\u20dd", "\u0489"], ids=lambda mark: f"U+{ord(mark):04X}")
def test_a_letter_has_few_marks(mark: str):
    most = f"A{mark * 6}da"
    assert NAME.validate_python(most) == most
    with pytest.raises(ValidationError, match="at most 6 marks"):
        NAME.validate_python(f"A{mark * 7}da")
    assert NAME.validate_python(clean_name(f"Ada {mark * 190}")).startswith("Ada")
    assert clean_text(f"A{mark * 5000}d{mark * 6}a") == f"A{mark * 6}d{mark * 6}a"


@pytest.mark.parametrize("name", ["", "  ", "\u3000", "x" * 201])
def test_a_name_is_neither_empty_nor_longer_than_a_line(name: str):
    with pytest.raises(ValidationError):
        NAME.validate_python(name)


def test_a_text_keeps_its_lines_and_loses_what_nobody_can_see():
    assert (
        clean_text("One\r\nTwo\rThree\tFour\u2028Five\n\n\x00Six\u202e \ufeff") == "One\nTwo\nThree Four\nFive\n\nSix"
    )
    assert clean_text("👩\u200d🚀 ❤️ می\u200cخواهم") == "👩\u200d🚀 ❤️ می\u200cخواهم"
