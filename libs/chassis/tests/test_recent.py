from chassis.recent import Recent


def test_the_oldest_is_forgotten():
    recent: Recent[int] = Recent(most=2)
    for number, name in enumerate("abac"):
        recent.keep(name, number)
    assert [recent.get(name) for name in "abc"] == [2, None, 3]
    recent.forget("a")
    assert recent.get("a") is None
