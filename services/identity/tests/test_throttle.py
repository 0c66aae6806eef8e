"""Guessing is slowed down for each account and address, on all replicas together and after a restart."""

import asyncio
from datetime import datetime, timedelta

import pytest
from chassis.clock import now
from contracts.identity import PasswordResetRequested
from identity import store
from identity.api import attempts
from identity.api.cookies import DEVICE_NAME, Device
from identity.model import GUESSES, Allowance, TooManyAttempts
from identity.passwords import Passwords

from .conftest import PASSWORD, another_process, bearer, logged_in, mailed_token, verified_account

FREE = GUESSES.free + 1
"""Nine without a wait, and the one after which the first wait begins."""


@pytest.fixture(autouse=True)
async def clean_slate(client):
    """Reset the counters, because all tests have the same address."""
    client.cookies.clear()
    yield
    await store.Throttle.get_pymongo_collection().delete_many({})


@pytest.fixture
def long_waits(monkeypatch):
    """Delays that do not end during a test."""
    monkeypatch.setattr(attempts, "GUESSES", GUESSES._replace(first=timedelta(minutes=5)))


async def guess(client, email, times=1):
    """Send wrong passwords one after the other and return the responses."""
    return [await logged_in(client, email, "not the password") for _ in range(times)]


async def let_waits_pass(seconds):
    """Change the times, as if all attempts were made that many seconds earlier."""
    earlier = {"$subtract": ["$blocked_until", int(seconds * 1000)]}
    await store.Throttle.get_pymongo_collection().update_many({}, [{"$set": {"blocked_until": earlier}}])


async def test_the_delays_grow(client, account, long_waits):
    assert {answer.status_code for answer in await guess(client, account["email"], FREE)} == {401}
    for wait in (300, 600, 900, 900):
        (blocked,) = await guess(client, account["email"])
        assert (blocked.status_code, blocked.json()["code"]) == (429, "too_many_attempts")
        assert blocked.headers["content-type"] == "application/problem+json"
        assert wait - 200 < int(blocked.headers["retry-after"]) <= wait
        await let_waits_pass(wait)
        (tried,) = await guess(client, account["email"])
        assert tried.status_code == 401


async def test_the_right_password_must_wait_too_and_is_not_checked(client, account, long_waits, monkeypatch):
    await guess(client, account["email"], FREE)

    async def never(*_):
        raise AssertionError("a password was checked")

    with monkeypatch.context() as patch:
        patch.setattr(Passwords, "check", never)
        assert (await logged_in(client, account["email"])).status_code == 429
    await let_waits_pass(300)
    assert (await logged_in(client, account["email"])).status_code == 200


async def test_a_success_resets_the_counter(client, account):
    await guess(client, account["email"], FREE - 1)
    assert (await logged_in(client, account["email"])).status_code == 200
    assert {answer.status_code for answer in await guess(client, account["email"], FREE)} == {401}


def device_cookie(answer):
    """Return the cookie of a known device as a browser sends it."""
    (cookie,) = [each for each in answer.headers.get_list("set-cookie") if each.startswith(DEVICE_NAME)]
    return {"Cookie": cookie.partition(";")[0]}


async def log_in(client, email, device, password=PASSWORD):
    client.cookies.clear()
    return await client.post("/api/auth/login", json={"email": email, "password": password}, headers=device)


@pytest.fixture
async def own_device(client, account, long_waits):
    """The browser in which the owner of the account has signed in before."""
    cookie = device_cookie(await logged_in(client, account["email"]))
    client.cookies.clear()
    return cookie


async def test_strangers_do_not_lock_the_owner_out_of_a_known_browser(client, replica, account, own_device):
    strangers = await guess(client, account["email"], FREE + 1)
    assert strangers[-1].status_code == 429
    assert (await log_in(client, account["email"], {})).status_code == 429, "an unknown browser must wait"
    for each in (client, replica):
        assert (await log_in(each, account["email"], own_device)).status_code == 200
    client.cookies.clear()
    assert (await guess(client, account["email"]))[0].status_code == 429, (
        "the owner's success does not reset their counter"
    )


async def test_a_neighbours_guesses_do_not_lock_a_known_browser_out(client, account, own_device, email, monkeypatch):
    monkeypatch.setattr(attempts, "for_address", lambda _: GUESSES._replace(free=1, first=timedelta(minutes=5)))
    codes = [(await guess(client, f"{n}-{email}"))[0].status_code for n in range(3)]
    assert codes == [401, 401, 429]
    assert (await log_in(client, account["email"], {})).status_code == 429
    assert (await log_in(client, account["email"], own_device)).status_code == 200


async def test_without_its_own_counter_the_browser_would_have_to_wait(client, account, own_device, monkeypatch):
    monkeypatch.setattr(Device, "number_for", lambda *_: None)
    await guess(client, account["email"], FREE)
    assert (await log_in(client, account["email"], own_device)).status_code == 429


async def test_a_known_browser_does_not_guess_faster_than_a_stranger(client, account, own_device):
    tries = [await log_in(client, account["email"], own_device, "not the password") for _ in range(FREE + 1)]
    assert [answer.status_code for answer in tries] == [401] * FREE + [429]
    assert (await log_in(client, account["email"], own_device)).status_code == 429
    assert (await log_in(client, account["email"], {})).status_code == 200, "it has its own counter"


async def test_the_cookie_of_a_device_counts_for_its_address_only(client, bus, account, own_device, email):
    other = f"other-{email}"
    await verified_account(client, bus, other)
    await guess(client, other, FREE)
    name, _, value = own_device["Cookie"].partition("=")
    for cookie in (own_device["Cookie"], f"{name}={value[:-4]}AAAA", f"{name}=", f"{name}=é", f"{name}={'x' * 3000}"):
        answer = await log_in(client, other, {b"Cookie": cookie.encode()})
        assert answer.status_code == 429, cookie
    assert email not in own_device["Cookie"]


async def test_a_new_password_by_mail_makes_the_browser_known(client, bus, account, long_waits):
    await guess(client, account["email"], FREE)
    await client.post("/api/auth/forgot-password", json={"email": account["email"]})
    token = await mailed_token(bus, PasswordResetRequested, account["email"])
    body = {"token": token, "password": "a train to anywhere"}
    device = device_cookie(await client.post("/api/auth/reset-password", json=body))
    client.cookies.clear()
    await guess(client, account["email"], FREE)
    assert (await log_in(client, account["email"], device, "a train to anywhere")).status_code == 200


async def test_strangers_cannot_prevent_a_change_of_the_password(client, account, long_waits):
    session = (await logged_in(client, account["email"])).json()
    client.cookies.clear()
    await guess(client, account["email"], FREE + 1)
    body = {"old_password": PASSWORD, "password": "a train to anywhere"}
    assert (await client.put("/api/users/me/password", json=body, headers=bearer(session))).status_code == 200


async def test_a_day_later_the_counters_are_reset(client, account):
    await guess(client, account["email"], FREE + 1)
    await store.Throttle.get_pymongo_collection().update_many({}, {"$set": {"expires_at": now()}})
    assert (await logged_in(client, account["email"])).status_code == 200


async def test_an_unknown_address_is_throttled_as_a_known_one(client, account, email, long_waits):
    for address in (account["email"], f"unknown-{email}"):
        answers = await guess(client, address, FREE + 1)
        assert [answer.status_code for answer in answers] == [401] * FREE + [429]
        assert int(answers[-1].headers["retry-after"]) > 200


async def test_replicas_count_together(client, replica, account):
    codes = [(await guess(each, account["email"]))[0].status_code for each in (client, replica) * (FREE // 2)]
    assert codes == [401] * FREE
    assert await store.Throttle.find({"attempts": FREE}).count() == 2, "the account and the network"
    await let_waits_pass(-300)
    for each in (client, replica):
        assert (await guess(each, account["email"]))[0].status_code == 429


async def test_many_attempts_at_once_do_not_all_see_an_empty_counter(client):
    moment = now()
    tries = (store.charge("many at once", GUESSES, moment) for _ in range(40))
    results = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(result, TooManyAttempts) for result in results) == 40 - FREE
    assert sum(isinstance(result, datetime) for result in results) == FREE


async def test_the_counters_survive_a_restart(client, account):
    async with another_process() as gone:
        await guess(gone, account["email"], FREE)
        for _ in range(7):
            await let_waits_pass(3600)
            await guess(gone, account["email"])
    blocked = await logged_in(client, account["email"])
    assert blocked.status_code == 429
    assert 60 < int(blocked.headers["retry-after"]) <= 128


async def test_one_address_that_tries_many_accounts_is_slowed_down(client, account, email, monkeypatch):
    await store.Throttle.get_pymongo_collection().delete_many({})
    monkeypatch.setattr(attempts, "for_address", lambda _: GUESSES._replace(free=5, first=timedelta(minutes=5)))
    codes = [(await guess(client, f"{n}-{email}"))[0].status_code for n in range(7)]
    assert codes == [401] * 6 + [429]
    assert (await logged_in(client, account["email"])).status_code == 429
    await let_waits_pass(300)
    assert (await logged_in(client, account["email"])).status_code == 200
    (blocked,) = await guess(client, f"again-{email}")
    assert blocked.status_code == 401, "a success takes back its own attempt only"


async def test_the_stored_counters_identify_nobody(client, email):
    await guess(client, email)
    kept = str(await store.Throttle.find_all().to_list())
    assert email not in kept
    assert "127.0.0.1" not in kept
    indexes = await store.Throttle.get_pymongo_collection().index_information()
    assert indexes["expires_at_1"]["expireAfterSeconds"] == 0


async def test_the_delays_have_a_maximum(client):
    allowance, moment = Allowance(0, timedelta(seconds=1), timedelta(seconds=4), timedelta(days=1)), now()
    waits = []
    for _ in range(5):
        await store.charge("some key", allowance, moment)
        with pytest.raises(TooManyAttempts) as blocked:
            await store.charge("some key", allowance, moment)
        waits.append(int(blocked.value.members["retry_after"]))
        moment += timedelta(seconds=waits[-1])
    assert waits == [1, 2, 4, 4, 4]
