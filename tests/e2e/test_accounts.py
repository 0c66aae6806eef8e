"""Accounts through the gateway, with the mails that really arrive."""

import asyncio
import subprocess
import sys

import pytest
from customer import Refused
from newcomer import PASSWORD, Newcomer

OTHER = "a train to anywhere"


async def refusal(call):
    with pytest.raises(Refused) as refused:
        await call
    return refused.value.status, refused.value.problem["code"]


@pytest.fixture
def newcomer(cinema):
    return Newcomer(cinema)


async def test_sign_up_mail_verify_and_log_in(newcomer):
    session = await newcomer.auth("register", email=newcomer.email, password=PASSWORD, name="Ada")
    log_in = {"email": newcomer.email, "password": PASSWORD}
    assert await refusal(newcomer.auth("login", **log_in)) == (401, "wrong_credentials")
    _, token = await newcomer.link("Please confirm your e-mail address")
    assert await refusal(newcomer.auth("verify-email", token=token)) == (403, "proof_needed")
    confirm = {"token": token, "password": PASSWORD}
    assert await newcomer.auth("verify-email", **confirm) == {"email": newcomer.email}
    assert await refusal(newcomer.auth("verify-email", **confirm)) == (410, "link_void")
    signed_in = await newcomer.auth("login", **log_in)
    assert signed_in["user"]["user_id"] == session["user"]["user_id"]
    me = await newcomer.acting(signed_in).call("GET", "/api/users/me")
    assert (me["email"], me["email_verified"], me["roles"]) == (newcomer.email, True, ["customer"])


async def test_somebody_who_is_not_verified_books_as_a_guest_and_may_no_more(cinema, newcomer):
    session = await newcomer.auth("register", email=newcomer.email, password=PASSWORD, name="Ada")
    unverified = newcomer.acting(session)
    showtime_id, seats = await cinema.seats(1)
    hold = await unverified.buy(showtime_id, seats, newcomer.email)
    await unverified.settled(hold, "confirmed")
    for method, path in (
        ("PATCH", "/api/users/me"),
        ("GET", "/api/auth/mfa"),
        ("POST", "/api/auth/passkeys/options"),
        ("GET", "/api/reviews/mine"),
    ):
        assert await refusal(unverified.call(method, path, json={"password": PASSWORD})) == (403, "email_unverified"), (
            path
        )
    assert (await refusal(unverified.call("GET", "/api/admin/users")))[0] in {403, 404}
    _, token = await newcomer.link("Please confirm your e-mail address")
    await newcomer.auth("verify-email", token=token, password=PASSWORD)
    signed_in = newcomer.acting(await newcomer.auth("login", email=newcomer.email, password=PASSWORD))
    listed = await signed_in.call("GET", "/api/bookings")
    assert [each["id"] for each in listed["items"]] == [hold["hold_id"]], "what was booked meanwhile stays theirs"


async def test_the_owner_of_an_address_that_somebody_else_registered_gets_the_account_alone(cinema, newcomer):
    stranger = await newcomer.auth("register", email=newcomer.email, password=PASSWORD, name="Mallory")
    _, token = await newcomer.link("Please confirm your e-mail address")
    await newcomer.auth("verify-email", token=token, new_password=OTHER)
    assert await refusal(newcomer.auth("refresh", refresh_token=stranger["refresh_token"])) == (401, "session_over")
    assert await refusal(newcomer.auth("login", email=newcomer.email, password=PASSWORD)) == (401, "wrong_credentials")
    await ended_everywhere(newcomer.acting(stranger))
    await newcomer.auth("login", email=newcomer.email, password=OTHER)


async def ended_everywhere(customer):
    """Wait until the access token is refused by identity and by two other services."""
    for path in ("/api/users/me", "/api/bookings", "/api/reviews/mine"):
        async with asyncio.timeout(30):
            while (await customer.http.get(f"{customer.url}{path}", headers=customer.headers)).status_code != 401:
                await asyncio.sleep(0.05)


@pytest.mark.parametrize("way", ["change", "reset", "log out"])
async def test_access_tokens_end_in_every_service(newcomer, way):
    await newcomer.sign_up()
    customer = newcomer.acting(await newcomer.auth("login", email=newcomer.email, password=PASSWORD))
    await customer.call("GET", "/api/bookings")
    if way == "change":
        body = {"old_password": PASSWORD, "password": OTHER}
        await customer.call("PUT", "/api/users/me/password", json=body)
    elif way == "reset":
        await newcomer.auth("forgot-password", email=newcomer.email)
        _, token = await newcomer.link("Choose a new password")
        await newcomer.auth("reset-password", token=token, password=OTHER)
    else:
        await customer.call("DELETE", "/api/auth/sessions")
    await ended_everywhere(customer)


async def test_an_address_with_an_account_is_told_so_by_mail_alone(newcomer):
    await newcomer.sign_up()
    again = await newcomer.auth("register", email=newcomer.email, password=OTHER, name="Mallory")
    assert again["user"]["email_verified"] is False
    mail = await newcomer.mail("You already have an account")
    assert "Mallory" not in mail["text"] + mail["html"]


async def test_a_forgotten_password_in_german(newcomer):
    session = await newcomer.auth(
        "register", email=newcomer.email, password=PASSWORD, name="Ada Lovelace", locale="de-AT"
    )
    _, token = await newcomer.link("Bitte bestätigen Sie Ihre E-Mail-Adresse")
    await newcomer.auth("verify-email", token=token, password=PASSWORD)
    await newcomer.auth("forgot-password", email=newcomer.email)
    page, token = await newcomer.link("Wählen Sie ein neues Passwort")
    assert page == "reset-password"
    await newcomer.auth("reset-password", token=token, password=OTHER)
    assert await refusal(newcomer.auth("reset-password", token=token, password=PASSWORD)) == (410, "link_void")
    assert await refusal(newcomer.auth("refresh", refresh_token=session["refresh_token"])) == (401, "session_over")
    assert await refusal(newcomer.auth("login", email=newcomer.email, password=PASSWORD)) == (401, "wrong_credentials")
    await newcomer.auth("login", email=newcomer.email, password=OTHER)
    told = await newcomer.mail("Änderung an Ihrem Usher-Konto")
    assert "über einen Link zurückgesetzt" in told["text"]


async def test_a_copied_refresh_token_ends_the_session_and_its_owner_reads_why(newcomer):
    first = (await newcomer.sign_up())["refresh_token"]
    second = (await newcomer.auth("refresh", refresh_token=first))["refresh_token"]
    third = (await newcomer.auth("refresh", refresh_token=second))["refresh_token"]
    assert await refusal(newcomer.auth("refresh", refresh_token=first)) == (401, "session_over")
    assert await refusal(newcomer.auth("refresh", refresh_token=third)) == (401, "session_over")
    assert "from two places" in (await newcomer.mail("A change to your Usher account"))["text"]


async def test_a_page_keeps_its_session_in_a_cookie(newcomer):
    await newcomer.sign_up()
    url, http = newcomer.guest.url, newcomer.guest.http
    own = {"Origin": url}
    answer = await http.post(
        f"{url}/api/auth/login",
        json={"email": newcomer.email, "password": PASSWORD, "mode": "cookie"},
        headers=own,
    )
    cookie = next(each for each in answer.headers.get_list("set-cookie") if "usher_session=" in each)
    http.cookies.clear()
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    kept = cookie.partition(";")[0]
    stolen = await http.post(
        f"{url}/api/auth/refresh", json={}, headers={"Cookie": kept, "Origin": "https://evil.example"}
    )
    assert (stolen.status_code, stolen.json()["code"]) == (403, "cross_site")
    refreshed = await http.post(f"{url}/api/auth/refresh", json={}, headers={"Cookie": kept} | own)
    http.cookies.clear()
    assert (refreshed.status_code, refreshed.json()["refresh_token"]) == (200, None)


def rotated(cinema, *options):
    """Run the runbook's command as an operator types it."""
    command = [sys.executable, "-m", "identity.rotate", *options]
    done = subprocess.run(command, env=cinema.platform.env, capture_output=True, text=True, check=True)
    return [line.split()[0] for line in done.stdout.splitlines() if "generation" in line]


async def test_keys_rotate_while_tokens_are_out(cinema):
    customer = cinema.guest()
    session = await customer.log_in("customer@usher.example", "popcorn-and-a-movie")
    old_headers = dict(customer.headers)
    kids = await asyncio.to_thread(rotated, cinema)
    published = await customer.call("GET", "/.well-known/jwks.json")
    assert [key["kid"] for key in published["keys"]] == kids
    await customer.call("GET", "/api/bookings")

    (only,) = await asyncio.to_thread(rotated, cinema, "--at-once")
    assert only not in kids
    session = await customer.call("POST", "/api/auth/refresh", json={"refresh_token": session["refresh_token"]})
    customer.headers["Authorization"] = f"Bearer {session['access_token']}"
    for path in ("/api/users/me", "/api/bookings", "/api/reviews/mine"):
        await customer.call("GET", path)
        assert await refusal(customer.call("GET", path, headers=old_headers)) == (401, "token_invalid")
