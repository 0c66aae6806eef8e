import pytest
from chassis.secrets import Seal, Unsealable, hash_secret, new_secret


def test_a_secret_is_long_and_its_hash_tells_nothing():
    secret = new_secret()
    assert len(secret) == 43
    assert secret != new_secret()
    assert secret not in hash_secret(secret)


def test_what_was_sealed_is_read_with_the_key_alone():
    sealed = Seal("one key").close("é 42")
    assert "42" not in sealed
    assert Seal("one key").open(sealed) == "é 42"
    with pytest.raises(Unsealable):
        Seal("another key").open(sealed)


@pytest.mark.parametrize("spoilt", ["", "rubbish", "é"])
def test_what_was_never_sealed_is_refused(spoilt):
    with pytest.raises(Unsealable):
        Seal("one key").open(spoilt)


def test_a_key_is_changed_with_both_known_for_a_while():
    sealed = Seal("old").close("text")
    both = Seal("new, old")
    assert both.open(sealed) == "text"
    assert Seal("new").open(both.close("text")) == "text"
