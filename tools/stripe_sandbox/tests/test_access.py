"""Access: the secret key for every call; the publishable key only with a client secret, from the browser."""

import asyncio
import base64
import os
import signal
import socket
import sys

import httpx
import pytest
import stripe
from stripe._api_version import _ApiVersion
from stripe_sandbox.main import create_app
from stripe_sandbox.settings import API_VERSION, Settings

INTENT = {"amount": "900", "currency": "eur", "metadata[booking_id]": "b-1"}
AS_SHOP = {"authorization": "Bearer sk_test_shop"}


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer sk_live_51", "Bearer nonsense", "Basic %%%", "Digest x"])
async def test_an_invalid_key_is_refused(control, header):
    answer = await control.get("/v1/payment_intents", headers={"authorization": header})
    assert answer.status_code == 401
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert answer.headers["request-id"].startswith("req_")


async def test_the_sdk_sees_an_authentication_error(sandbox, http_client):
    wrong = stripe.StripeClient("sk_live_x", http_client=http_client, base_addresses={"api": sandbox})
    with pytest.raises(stripe.AuthenticationError):
        await wrong.v1.payment_intents.list_async()


async def test_basic_authentication_and_the_headers_of_every_answer(control):
    basic = base64.b64encode(b"sk_test_shop:").decode()
    headers = {"authorization": f"Basic {basic}", "stripe-version": "2025-01-27.acacia"}
    answer = await control.get("/v1/payment_intents", headers=headers)
    assert answer.status_code == 200
    assert answer.headers["stripe-version"] == "2025-01-27.acacia"
    assert API_VERSION == _ApiVersion.CURRENT


async def test_only_the_configured_keys_are_accepted():
    app = create_app(Settings(secret_key="sk_test_mine", publishable_key="pk_test_mine"))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://sandbox") as client:
        for key, status in (("sk_test_mine", 200), ("sk_test_other", 401), ("pk_test_mine", 401)):
            answer = await client.get("/v1/payment_intents", headers={"authorization": f"Bearer {key}"})
            assert answer.status_code == status


async def test_a_browser_pays_with_the_client_secret_and_sees_only_public_fields(control):
    intent = (await control.post("/v1/payment_intents", data=INTENT, headers=AS_SHOP)).json()
    address, key = f"/v1/payment_intents/{intent['id']}", {"key": "pk_test_shop"}
    allowed = key | {"client_secret": intent["client_secret"]}
    assert (await control.get(address, params=key)).json()["error"]["param"] == "client_secret"
    wrong = await control.get(address, params=key | {"client_secret": "pi_x_secret_y"})
    assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "client_secret")
    assert (await control.post(f"{address}/cancel", data=allowed)).status_code == 401
    assert (await control.get("/v1/payment_intents", params=key)).json()["error"]["code"] == "secret_key_required"

    card = {"card[number]": "4000 0000 0000 9995", "card[exp_month]": "12", "card[exp_year]": "40", "card[cvc]": "123"}
    method = (await control.post("/v1/payment_methods", data=key | {"type": "card"} | card)).json()
    declined = await control.post(f"{address}/confirm", data=allowed | {"payment_method": method["id"]})
    error = declined.json()["error"]
    assert (declined.status_code, error["decline_code"]) == (402, "insufficient_funds")
    assert "metadata" not in error["payment_intent"]
    paid = await control.post(f"{address}/confirm", data=allowed | {"payment_method": "pm_card_visa"})
    assert paid.json()["status"] == "succeeded"
    assert not {"metadata", "latest_charge"} & paid.json().keys()


async def test_a_page_of_another_origin_may_call(control):
    answer = await control.get("/v1/payment_intents", headers=AS_SHOP | {"origin": "http://127.0.0.1:8080"})
    assert answer.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize(
    "body",
    [
        "amount=1&amount[x]=2",
        "metadata[][x]=1",
        "metadata[a]=1&metadata[a][]=2",
        "amount=%ff%fe",
        "&".join(f"a{n}=1" for n in range(1001)),
        "payment_method_types[x][y]=1",
        "automatic_payment_methods=1",
        "automatic_payment_methods[enabled]=perhaps",
        "currency[x]=eur",
        "amount[]=900",
        "metadata=text",
    ],
)
async def test_malformed_parameters_are_a_400(control, body):
    headers = AS_SHOP | {"content-type": "application/x-www-form-urlencoded"}
    answer = await control.post("/v1/payment_intents", content=f"amount=900&currency=eur&{body}", headers=headers)
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")
    answer = await control.post("/v1/payment_intents", content="ü".encode(), headers=headers)
    assert answer.status_code == 400
    answer = await control.post("/v1/payment_intents", json={"amount": 900}, headers=AS_SHOP)
    assert "content type" in answer.json()["error"]["message"]


def test_settings_come_from_the_environment():
    settings = Settings.from_environment(
        {"STRIPE_SECRET_KEY": "sk_test_1", "SANDBOX_WEBHOOK_EVENTS": "a,b", "SANDBOX_RETRY_SECONDS": "1,2.5", "X": ""}
    )
    assert (settings.secret_key, settings.webhook_events, settings.retry_seconds) == ("sk_test_1", ("a", "b"), (1, 2.5))
    with pytest.raises(ValueError, match="soon"):
        Settings.from_environment({"SANDBOX_RETRY_SECONDS": "soon"})


async def test_it_starts_as_a_standalone_server():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    command = (sys.executable, "-m", "uvicorn", "stripe_sandbox.main:app", "--port", str(port), "--no-access-log")
    environment = os.environ | {"SANDBOX_WEBHOOK_URL": "http://127.0.0.1:9/"}
    server = await asyncio.create_subprocess_exec(*command, env=environment)
    try:
        async with httpx.AsyncClient(trust_env=False) as client, asyncio.timeout(60):
            while True:
                try:
                    answer = await client.get(f"http://127.0.0.1:{port}/healthz")
                    break
                except httpx.ConnectError:
                    await asyncio.sleep(0.1)
        assert answer.json() == {"status": "ok"}
    finally:
        server.terminate()
        assert await server.wait() in (0, -signal.SIGTERM)
