"""Guessing the code of an authenticator app that is being set up, with a stolen session."""

from identity.model.throttling import GUESSES

from .conftest import PASSWORD, bearer


async def test_codes_of_an_offered_app_cannot_be_guessed_without_limit(client, signed_in):
    headers = bearer(signed_in)
    offered = await client.post("/api/auth/mfa/totp", json={"password": PASSWORD}, headers=headers)
    assert offered.status_code == 200
    statuses = [
        (await client.post("/api/auth/mfa/totp/confirm", json={"code": f"{n:06}"}, headers=headers)).status_code
        for n in range(GUESSES.free + 2)
    ]
    assert statuses == [403] * (GUESSES.free + 1) + [429]
