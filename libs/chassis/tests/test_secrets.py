import pytest
from chassis.security.secrets import CannotDecrypt, Cipher, hash_secret, new_secret


def test_a_secret_is_long_and_its_hash_does_not_contain_it():
    secret = new_secret()
    assert len(secret) == 43
    assert secret != new_secret()
    assert secret not in hash_secret(secret)


def test_an_encrypted_text_is_read_only_with_its_key():
    sealed = Cipher("one key").encrypt("é forty-two")
    assert "forty-two" not in sealed
    assert Cipher("one key").decrypt(sealed) == "é forty-two"
    with pytest.raises(CannotDecrypt):
        Cipher("another key").decrypt(sealed)


@pytest.mark.parametrize("spoilt", ["", "rubbish", "é"])
def test_a_text_that_was_not_encrypted_is_refused(spoilt):
    with pytest.raises(CannotDecrypt):
        Cipher("one key").decrypt(spoilt)


def test_a_key_is_rotated_while_both_are_accepted():
    sealed = Cipher("old").encrypt("text")
    both = Cipher("new, old")
    assert both.decrypt(sealed) == "text"
    assert Cipher("new").decrypt(both.encrypt("text")) == "text"
