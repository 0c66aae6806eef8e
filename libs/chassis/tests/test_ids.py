from datetime import timedelta

from chassis.clock import now
from chassis.ids import is_older, new_id


def test_an_id_tells_when_it_was_made():
    before = now()
    made = new_id()
    assert not is_older(made, before)
    assert is_older(made, before + timedelta(minutes=1))


def test_another_text_than_an_id_is_of_some_time():
    assert [is_older(text, now()) for text in ("", "no id", "zz")] == [True, False, False]
