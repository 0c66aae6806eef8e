"""Other ways to sign in: an authenticator app, recovery codes, passkeys."""

import time
from datetime import UTC, datetime, timedelta

import pytest
from newcomer import PASSWORD, Newcomer
from playwright.async_api import expect
from pymongo import AsyncMongoClient
from pyotp.totp import TOTP
from visitor import Visitor

OTHER = "a train to anywhere"
NARROW = {"width": 390, "height": 844}
STEP_S = 30
INTERNAL = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
}


@pytest.fixture
async def newcomer(cinema) -> Newcomer:
    newcomer = Newcomer(cinema)
    await newcomer.sign_up()
    return newcomer


async def set_up_app(visitor: Visitor) -> tuple[TOTP, list[str]]:
    """The authenticator app with the account's secret, and the recovery codes."""
    part = visitor.part("Two-factor authentication")
    await part.get_by_label("Password").fill(PASSWORD)
    await part.get_by_role("button", name="Set up an app").click()
    await expect(part.get_by_role("img", name="QR code for the authenticator app")).to_be_visible()
    app = TOTP(await part.locator("code").inner_text())
    await part.get_by_role("textbox", name="Code").fill(app.now())
    await part.get_by_role("button", name="Turn on").click()
    await expect(part.get_by_role("listitem")).to_have_count(10)
    codes = await part.get_by_role("listitem").all_inner_texts()
    await part.get_by_role("button", name="I have saved them").click()
    await expect(part.get_by_text("You have 10 recovery codes left.")).to_be_visible()
    return app, codes


def next_code(app: TOTP) -> str:
    """Return an unused code: the service accepts a phone's clock that is half a minute fast."""
    return app.at(int(time.time()) + STEP_S)


async def enter_code(visitor: Visitor, newcomer: Newcomer, code: str) -> None:
    """Sign in with the password and then the code."""
    await visitor.page.goto("/sign-in?next=/account")
    await visitor.enter(newcomer.email, PASSWORD)
    field = visitor.page.get_by_label("Code")
    await expect(field).to_be_focused()
    await field.fill(code)
    await visitor.button("Sign in").click()


async def test_an_app_is_set_up_and_its_code_or_a_recovery_code_signs_in(visit, newcomer, device):
    visitor = await visit(device)
    page = visitor.page
    await visitor.open_account(newcomer.email, PASSWORD)
    app, codes = await set_up_app(visitor)
    await visitor.button("Sign out").click()
    await visitor.is_signed_out()
    await enter_code(visitor, newcomer, "000000")
    await expect(page.get_by_role("alert")).to_contain_text("This code is wrong or was already used.")
    await page.get_by_label("Code").fill(next_code(app))
    await visitor.button("Sign in").click()
    await expect(visitor.button("Sign out")).to_be_visible()
    other = await visit(device)
    await enter_code(other, newcomer, codes[3])
    part = other.part("Two-factor authentication")
    await expect(part.get_by_text("You have 9 recovery codes left.")).to_be_visible()
    await part.get_by_label("Password").fill(PASSWORD)
    await part.get_by_role("textbox", name="Code").fill(codes[3])
    await part.get_by_role("button", name="Turn off").click()
    await expect(part.get_by_role("alert")).to_contain_text("This code is wrong or was already used.")
    await part.get_by_role("textbox", name="Code").fill(codes[4])
    await part.get_by_role("button", name="New recovery codes").click()
    await expect(part.get_by_role("listitem")).to_have_count(10)
    assert not set(codes) & set(await part.get_by_role("listitem").all_inner_texts())
    fresh = await part.get_by_role("listitem").first.inner_text()
    await part.get_by_role("button", name="I have saved them").click()
    await part.get_by_label("Password").fill(PASSWORD)
    await part.get_by_role("textbox", name="Code").fill(fresh)
    await part.get_by_role("button", name="Turn off").click()
    await expect(part.get_by_role("button", name="Set up an app")).to_be_visible()
    await (await visit(device)).open_account(newcomer.email, PASSWORD)


async def test_a_passkey_is_added_signs_in_and_is_taken_away(visit, cinema, newcomer, device):
    # Browsers do not bind passkeys to an IP address.
    visitor = await visit(device, base_url=cinema.platform.url.replace("127.0.0.1", "localhost"))
    page = visitor.page
    browser = await page.context.new_cdp_session(page)
    await browser.send("WebAuthn.enable")
    await browser.send("WebAuthn.addVirtualAuthenticator", {"options": INTERNAL})
    await visitor.open_account(newcomer.email, PASSWORD)
    part = visitor.part("Passkeys")
    await part.get_by_label("Passkey name").fill("my phone")
    await part.get_by_label("Password").fill("not the password")
    await part.get_by_role("button", name="Add a passkey").click()
    await expect(part.get_by_role("alert")).to_contain_text("The password is wrong.")
    await part.get_by_label("Password").fill(PASSWORD)
    await part.get_by_role("button", name="Add a passkey").click()
    await expect(part.get_by_role("listitem")).to_contain_text("my phone")
    await visitor.button("Sign out").click()
    await visitor.is_signed_out()
    await page.goto("/sign-in?next=/account")
    await visitor.button("Sign in with a passkey").click()
    await expect(visitor.button("Sign out")).to_be_visible()
    await part.get_by_role("button", name="Remove my phone").click()
    await expect(part.get_by_role("listitem")).to_have_count(0)
    await visitor.button("Sign out").click()
    await visitor.is_signed_out()
    await page.goto("/sign-in?next=/account")
    await visitor.button("Sign in with a passkey").click()
    await expect(page.get_by_role("alert")).to_contain_text("This passkey does not belong to an account here.")


async def test_removing_a_passkey_long_after_the_sign_in_asks_for_another_one(visit, cinema, newcomer):
    visitor = await visit("phone", viewport=NARROW, base_url=cinema.platform.url.replace("127.0.0.1", "localhost"))
    page, part = visitor.page, visitor.part("Passkeys")
    browser = await page.context.new_cdp_session(page)
    await browser.send("WebAuthn.enable")
    await browser.send("WebAuthn.addVirtualAuthenticator", {"options": INTERNAL})
    await visitor.open_account(newcomer.email, PASSWORD)
    await part.get_by_label("Passkey name").fill("my phone")
    await part.get_by_label("Password").fill(PASSWORD)
    await part.get_by_role("button", name="Add a passkey").click()
    await expect(part.get_by_role("listitem")).to_contain_text("my phone")
    async with AsyncMongoClient(cinema.platform.env["MONGO_URI"], tz_aware=True) as mongo:
        user = await mongo.usher_identity.users.find_one({"email": newcomer.email}) or {}
        an_hour_ago = {"$set": {"created_at": datetime.now(UTC) - timedelta(hours=1)}}
        await mongo.usher_identity.sessions.update_many({"user_id": user["_id"]}, an_hour_ago)
    await part.get_by_role("button", name="Remove my phone").click()
    again = page.get_by_role("dialog", name="Please sign in again")
    await again.get_by_label("Password").fill("not the password")
    await again.get_by_role("button", name="Sign in", exact=True).click()
    await expect(again.get_by_role("alert")).to_contain_text("The e-mail address or password is wrong")
    await again.get_by_label("Password").fill(PASSWORD)
    await again.get_by_role("button", name="Sign in", exact=True).click()
    await expect(again).to_have_count(0)
    await expect(part.get_by_role("listitem")).to_have_count(0)


async def test_lost_factors_are_removed_unless_they_are_kept(visit, newcomer):
    visitor = await visit("phone", viewport=NARROW)
    page, part = visitor.page, visitor.part("Two-factor authentication")
    await visitor.open_account(newcomer.email, PASSWORD)
    app, _ = await set_up_app(visitor)
    await newcomer.auth("forgot-password", email=newcomer.email)
    _, token = await newcomer.link("Choose a new password")
    await page.goto(f"/reset-password#token={token}")
    await page.get_by_label("New password").fill(OTHER)
    await page.get_by_role("checkbox").check()
    await visitor.button("Save password").click()
    await expect(page.get_by_text("We will remove the account's authenticator app and passkeys")).to_be_visible()
    await page.goto("/sign-in?next=/account")
    await visitor.enter(newcomer.email, OTHER)
    await page.get_by_label("Code").fill(next_code(app))
    await visitor.button("Sign in").click()
    await expect(part.get_by_text("will be removed on")).to_be_visible()
    keep = part.locator("form", has=page.get_by_role("button", name="Keep them"))
    await keep.get_by_label("Password").fill(OTHER)
    await keep.get_by_role("button", name="Keep them").click()
    await expect(part.get_by_text("will be removed on")).to_have_count(0)
    await expect(part.get_by_role("button", name="Turn off")).to_be_visible()


async def test_no_passkey_is_offered_where_browsers_keep_none(visit, newcomer):
    visitor = await visit()
    await visitor.open_account(newcomer.email, PASSWORD)
    await expect(
        visitor.part("Passkeys").get_by_text("This browser cannot save passkeys for this site.")
    ).to_be_visible()
    await expect(visitor.button("Add a passkey")).to_have_count(0)
