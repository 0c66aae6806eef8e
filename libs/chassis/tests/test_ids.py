from datetime import timedelta

from chassis.clock import now
from chassis.ids import FRESH_FOR, is_fresh, is_older, new_id


def test_an_id_contains_its_time():
    before = now()
    made = new_id()
    assert not is_older(made, before)
    assert is_older(made, before + timedelta(minutes=1))


def test_another_text_than_an_id_is_of_some_time():
    assert [is_older(text, now()) for text in ("", "no id", "zz")] == [True, False, False]


def test_an_id_is_fresh_for_a_while():
    made, moment = new_id(), now()
    assert is_fresh(made, moment)
    assert not is_fresh(made, moment + FRESH_FOR + timedelta(minutes=1))
    assert not is_fresh(made, moment - timedelta(minutes=2))


def test_a_text_that_is_not_an_id_is_never_fresh():
    made = new_id()
    assert not any(is_fresh(text, now()) for text in ("", "no id", made[:-1], made + "0", made.upper() + "Z"))
