"""Revoked tokens in a service that checks them."""

import httpx
import pytest
from chassis.ids import new_id
from chassis.security import revocations
from chassis.security.auth import KeysUnavailable, TokenInvalid, Verifier, published_at
from chassis.security.revocations import Revocations
from chassis.testing import running, until
from contracts.identity import AccessRevoked, SessionEnded


async def status(client, signer, user_id: str, epoch: int, path: str = "/api/pings/me") -> int:
    return (await client.get(path, headers=signer.headers(user_id, ["pings:read"], epoch=epoch))).status_code


async def test_a_revocation_ends_older_tokens_on_every_route_and_no_newer_ones(client, bus, signer):
    user_id = new_id()
    assert await status(client, signer, user_id, 0) == 200
    await bus.publish(AccessRevoked(user_id=user_id, epoch=2))

    async def refused():
        return await status(client, signer, user_id, 1) == 401

    await until(refused)
    for path in ("/api/pings/me", "/api/pings/anyone", "/api/pings/secret"):
        assert [await status(client, signer, user_id, epoch, path) for epoch in (0, 1, 2, 3)] == [401, 401, 200, 200]
    assert await status(client, signer, "somebody-else", 0) == 200


async def test_the_end_of_a_session_ends_its_tokens_and_no_others(client, bus, signer):
    user_id, ended, other = new_id(), new_id(), new_id()

    async def of_session(session_id: str) -> int:
        headers = signer.headers(user_id, ["pings:read"], sid=session_id)
        return (await client.get("/api/pings/me", headers=headers)).status_code

    assert [await of_session(each) for each in (ended, other)] == [200, 200]
    await bus.publish(SessionEnded(session_id=ended, user_id=user_id))

    async def refused():
        return await of_session(ended) == 401

    await until(refused)
    assert await of_session(other) == 200


async def test_a_late_older_revocation_changes_nothing(client, bus, signer):
    user_id = new_id()
    for epoch in (3, 1, 3):
        await bus.publish(AccessRevoked(user_id=user_id, epoch=epoch))

    async def refused():
        return await status(client, signer, user_id, 2) == 401

    await until(refused)
    assert await status(client, signer, user_id, 3) == 200


async def test_malformed_revocations_are_ignored(client, bus, signer):
    user_id = new_id()
    for body in (b"", b"null", b'{"user_id": "%s"}' % user_id.encode(), b'{"user_id": "a b", "epoch": 9}', b"x" * 9999):
        await bus.publish_raw(AccessRevoked.type, body)
    await bus.publish(AccessRevoked(user_id=new_id(), epoch=1))
    assert await status(client, signer, user_id, 0) == 200


async def test_a_starting_service_fetches_earlier_revocations(service_env, toy_topology, toy, signer):
    user_id = new_id()
    signer.revoked[user_id] = 1
    async with running(toy.make_app()) as client:
        assert [await status(client, signer, user_id, epoch) for epoch in (0, 1)] == [401, 200]
    del signer.revoked[user_id]


@pytest.fixture
async def asked(signer):
    """The revocations of a service without a broker, and the calls of `on_revoked`."""
    told: list[str] = []
    async with httpx.AsyncClient() as http:
        url = signer.url.replace("jwks", "revocations")
        yield Revocations(published_at(url, http), told.append), told


async def test_a_missed_revocation_is_fetched_with_the_next_reload(asked, signer):
    known, told = asked
    user_id = new_id()
    assert not await known.is_void(user_id, 0)
    signer.revoked[user_id] = 4
    assert not await known.is_void(user_id, 3)
    await known.reload()
    await known.reload()
    assert await known.is_void(user_id, 3)
    assert told == [user_id]
    del signer.revoked[user_id]


async def test_a_missed_end_of_a_session_is_fetched_with_the_next_reload(asked, signer):
    known, told = asked
    user_id, session_id = new_id(), new_id()
    assert not await known.is_void(user_id, 0, session_id)
    signer.ended[session_id] = user_id
    await known.reload()
    await known.reload()
    assert [await known.is_void(user_id, 0, each) for each in (session_id, "")] == [True, False]
    assert told == [user_id]
    del signer.ended[session_id]


async def test_a_new_revocation_survives_a_reload_that_lacks_it(asked):
    known, _ = asked
    await known.on_access_revoked(AccessRevoked(user_id="u1", epoch=1))
    await known.reload()
    assert await known.is_void("u1", 0)


async def test_a_revocation_that_outlived_all_its_tokens_is_removed(signer, monkeypatch):
    monkeypatch.setattr(revocations, "KEPT_S", 0.0)
    async with httpx.AsyncClient() as http:
        known = Revocations(published_at(signer.url.replace("jwks", "revocations"), http))
        await known.on_access_revoked(AccessRevoked(user_id="u1", epoch=1))
        assert not await known.is_void("u1", 0)


async def test_no_token_is_accepted_before_the_first_reload_and_an_outage_of_identity_later_changes_nothing(
    service_env, toy, signer, monkeypatch
):
    """A verifier that has the keys but cannot fetch the revocations."""
    async with httpx.AsyncClient() as http:
        known = Revocations(published_at("http://127.0.0.1:9/", http))
        verifier = Verifier(toy.Settings(), published_at(signer.url, http), known)
        with pytest.raises(KeysUnavailable):
            await verifier.verify(signer.token())
        monkeypatch.setattr(known, "_ask", published_at(signer.url.replace("jwks", "revocations"), http))
        assert (await verifier.verify(signer.token())).user_id == "user-1"
        monkeypatch.setattr(known, "_ask", published_at("http://127.0.0.1:9/", http))
        assert (await verifier.verify(signer.token())).user_id == "user-1"
        await known.on_access_revoked(AccessRevoked(user_id="user-1", epoch=1))
        with pytest.raises(TokenInvalid):
            await verifier.verify(signer.token())
