import asyncio
import sys
from datetime import timedelta

import httpx
import jwt
import pytest
from chassis.clock import now
from chassis.testing import until
from chassis.testing.servers import free_port
from identity import store
from identity.model import RefreshToken, SessionOver


@pytest.fixture
async def replica(service_env):
    """A client of a second replica, in a process of its own."""
    port = free_port()
    uvicorn = ["-m", "uvicorn", "identity.main:app", "--port", str(port), "--log-level", "warning"]
    process = await asyncio.create_subprocess_exec(sys.executable, *uvicorn, stdout=asyncio.subprocess.DEVNULL)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:

        async def ready():
            try:
                return (await client.get("/readyz")).is_success
            except httpx.TransportError:
                return False

        try:
            await until(ready, seconds=30)
            yield client
        finally:
            process.terminate()
            await process.wait()


async def refreshed(client, token):
    return await client.post("/api/auth/refresh", json={"refresh_token": token})


def session_id(answer):
    return jwt.decode(answer["access_token"], options={"verify_signature": False})["sid"]


async def test_a_refresh_token_is_exchanged_for_new_tokens(client, account, signed_in):
    answer = await refreshed(client, signed_in["refresh_token"])
    assert answer.status_code == 200
    assert answer.json()["refresh_token"] != signed_in["refresh_token"]
    assert answer.json()["user"] == account
    assert session_id(answer.json()) == session_id(signed_in)
    assert answer.headers["cache-control"] == "no-store"


async def test_only_hashes_are_kept(account, signed_in):
    family, turn = RefreshToken.parse(signed_in["refresh_token"])
    kept = str(await store.Session.get_pymongo_collection().find_one({"user_id": account["user_id"]}))
    assert "family_hash" in kept
    assert family not in kept
    assert turn not in kept


async def test_a_used_refresh_token_ends_the_whole_family(client, signed_in):
    first = signed_in["refresh_token"]
    second = (await refreshed(client, first)).json()["refresh_token"]
    third = (await refreshed(client, second)).json()["refresh_token"]
    reused = await refreshed(client, first)
    assert (reused.status_code, reused.json()["code"]) == (401, "session_over")
    assert "session_id" not in reused.json()
    assert (await refreshed(client, third)).status_code == 401


async def test_reuse_leaves_the_persons_other_sessions_alone(client, account, signed_in):
    other = await client.post("/api/auth/login", json={"email": account["email"], "password": "correct horse battery"})
    await refreshed(client, signed_in["refresh_token"])
    await refreshed(client, signed_in["refresh_token"])
    assert (await refreshed(client, other.json()["refresh_token"])).status_code == 200


async def test_of_many_refreshes_at_once_from_two_replicas_one_wins_and_the_family_ends(client, replica, signed_in):
    tries = [refreshed(each, signed_in["refresh_token"]) for each in (client, replica) * 5]
    answers = await asyncio.gather(*tries)
    won = [answer for answer in answers if answer.status_code == 200]
    assert len(won) == 1
    assert {answer.status_code for answer in answers if answer not in won} == {401}
    # Nobody can tell which of them was the thief: the winner's token is worth nothing either.
    assert (await refreshed(client, won[0].json()["refresh_token"])).status_code == 401


async def test_logging_out_ends_the_session_and_may_be_repeated(client, signed_in):
    token = {"refresh_token": signed_in["refresh_token"]}
    assert (await client.post("/api/auth/logout", json=token)).status_code == 204
    assert (await client.post("/api/auth/logout", json=token)).status_code == 204
    assert (await refreshed(client, signed_in["refresh_token"])).status_code == 401


async def test_a_strangers_token_ends_nothing(client, signed_in):
    stranger = RefreshToken("a" * 43, RefreshToken.parse(signed_in["refresh_token"]).turn)
    assert (await refreshed(client, str(stranger))).status_code == 401
    assert (await refreshed(client, signed_in["refresh_token"])).status_code == 200


async def test_a_session_lasts_its_time_however_often_it_is_refreshed(client, account):
    start = now()
    _, token = await store.open_session(account["user_id"], start, timedelta(days=30))
    session, token = await store.turn_session(token, start + timedelta(days=29))
    assert session.last_used_at == start + timedelta(days=29)
    with pytest.raises(SessionOver):
        await store.turn_session(token, start + timedelta(days=30))


async def test_mongodb_forgets_sessions_that_are_over(client):
    indexes = await store.Session.get_pymongo_collection().index_information()
    assert indexes["expires_at_1"]["expireAfterSeconds"] == 0
