import asyncio

from chassis.recent import Recent


async def test_whoever_waits_is_told_though_another_one_gave_up():
    recent: Recent[str] = Recent()
    patient = asyncio.create_task(recent.kept("a", 60))
    await recent.kept("a", 0.01)
    assert not patient.done()
    recent.keep("a", "thing")
    async with asyncio.timeout(5):
        await patient
    assert recent.get("a") == "thing"


async def test_the_oldest_is_let_go():
    recent: Recent[int] = Recent(most=2)
    for number, name in enumerate("abac"):
        recent.keep(name, number)
    assert [recent.get(name) for name in "abc"] == [2, None, 3]
    recent.forget("a")
    assert recent.get("a") is None
