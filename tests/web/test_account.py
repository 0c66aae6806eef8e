"""The account pages in a real browser: mailed links, name and password, sessions, data export and deletion."""

import asyncio
import json
import re
from pathlib import Path

import pytest
from newcomer import PASSWORD, Newcomer
from playwright.async_api import Route, expect
from visitor import Visitor

OTHER = "a train to anywhere"
CONFIRM, CONFIRM_NEW = "Please confirm your e-mail address", "Please confirm your new e-mail address"
CHOOSE = "Choose a new password"


@pytest.fixture
def newcomer(cinema) -> Newcomer:
    return Newcomer(cinema)


async def follow(visitor: Visitor, newcomer: Newcomer, subject: str) -> None:
    """Open the link of a mail."""
    page, token = await newcomer.link(subject)
    await visitor.page.goto(f"/{page}#token={token}")


def saved(file: Path) -> str:
    """Read the text of a JSON file."""
    text = file.read_text()
    json.loads(text)
    return text


@pytest.mark.parametrize("address", ["/account", "/bookings"])
async def test_a_deep_link_leads_to_sign_in_and_back(visit, address):
    visitor = await visit()
    page = visitor.page
    await page.goto(address)
    await expect(page.get_by_text("Please sign in to view this page")).to_be_visible()
    await page.get_by_role("main").get_by_role("link", name="Sign in").click()
    await visitor.enter("customer@usher.example", "not the password")
    await expect(page.get_by_role("alert")).to_contain_text("The e-mail address or password is wrong")
    await visitor.enter("customer@usher.example", "popcorn-and-a-movie")
    await visitor.is_signed_in()
    await expect(page).to_have_url(re.compile(rf"{address}$"))
    await expect(page.get_by_text("Please sign in to view this page")).to_have_count(0)


async def test_sign_up_then_the_mailed_link_makes_it_a_full_account(visit, newcomer, device):
    visitor = await visit(device)
    page = visitor.page
    await page.goto("/account")
    await page.get_by_role("link", name="Create an account").click()
    await page.get_by_label("Name").fill("Ada")
    await page.get_by_label("E-mail").fill(newcomer.email)
    await page.get_by_label("Password").fill(newcomer.email)
    await visitor.button("Create an account").click()
    await expect(page.get_by_label("Password")).to_have_attribute("aria-invalid", "true")
    await page.get_by_label("Password").fill(PASSWORD)
    await visitor.button("Create an account").click()
    await expect(page.get_by_role("heading", name="Almost done")).to_be_visible()
    await page.get_by_role("link", name="Continue").click()
    await expect(page).to_have_url(re.compile("/account$"))
    await expect(page.get_by_text(f"We have sent a link to {newcomer.email}")).to_be_visible()
    await expect(visitor.part("Password")).to_have_count(0)
    await follow(visitor, newcomer, CONFIRM)
    await visitor.button("Confirm address").click()
    await expect(page.get_by_text(f"{newcomer.email} is confirmed")).to_be_visible()
    await visitor.is_signed_in()
    await page.reload()
    await visitor.button("Confirm address").click()
    await expect(page.get_by_text("This link has expired or was already used")).to_be_visible()
    await page.goto("/account")
    await expect(visitor.part("Password")).to_be_visible()


async def test_a_link_confirms_also_in_a_browser_where_nobody_is_signed_in(visit, newcomer):
    visitor = await visit("phone")
    await newcomer.auth("register", email=newcomer.email, password=PASSWORD, name="Ada")
    await follow(visitor, newcomer, CONFIRM)
    await visitor.button("Confirm address").click()
    await visitor.page.get_by_label("Password").fill("not the password")
    await visitor.button("Confirm address").click()
    await expect(visitor.page.get_by_role("alert")).to_contain_text("The password is wrong.")
    await visitor.page.get_by_label("Password").fill(PASSWORD)
    await visitor.button("Confirm address").click()
    await expect(visitor.page.get_by_text(f"{newcomer.email} is confirmed")).to_be_visible()
    await visitor.is_signed_in()


async def test_the_owner_of_an_address_that_somebody_else_registered_chooses_a_password(visit, newcomer):
    await newcomer.auth("register", email=newcomer.email, password=OTHER, name="Mallory")
    visitor = await visit("phone", viewport={"width": 390, "height": 844})
    await follow(visitor, newcomer, CONFIRM)
    await expect(visitor.button("Confirm address")).to_be_visible()
    assert "confirmed" not in await visitor.page.get_by_role("main").inner_text(), "opening the link changes nothing"
    await visitor.button("Confirm address").click()
    await visitor.button("I did not choose a password").click()
    await visitor.page.get_by_label("New password").fill(newcomer.email)
    await visitor.button("Confirm address").click()
    await expect(visitor.page.get_by_label("New password")).to_have_attribute("aria-invalid", "true")
    await visitor.page.get_by_label("New password").fill(PASSWORD)
    await visitor.button("Confirm address").click()
    await expect(visitor.page.get_by_text(f"{newcomer.email} is confirmed")).to_be_visible()
    await visitor.is_signed_in()
    stranger = await visit()
    await stranger.page.goto("/sign-in")
    await stranger.enter(newcomer.email, OTHER)
    await expect(stranger.page.get_by_role("alert")).to_be_visible()


async def test_a_forgotten_password_is_replaced_by_the_mailed_link(visit, newcomer, device):
    await newcomer.sign_up()
    elsewhere, visitor = await visit(), await visit(device)
    await elsewhere.open_account(newcomer.email, PASSWORD)
    page = visitor.page
    await page.goto("/sign-in")
    await page.get_by_role("link", name="Forgot your password?").click()
    await expect(page.get_by_role("heading", name="Reset your password")).to_be_visible()
    await page.get_by_label("E-mail").fill(newcomer.email)
    await visitor.button("Send link").click()
    await expect(page.get_by_text("we have sent a link to it")).to_be_visible()
    await follow(visitor, newcomer, CHOOSE)
    await page.get_by_label("New password").fill(OTHER)
    await visitor.button("Save password").click()
    await page.get_by_role("main").get_by_role("link", name="Sign in").click()
    await visitor.enter(newcomer.email, PASSWORD)
    await expect(page.get_by_role("alert")).to_be_visible()
    await visitor.enter(newcomer.email, OTHER)
    await visitor.is_signed_in()
    await elsewhere.page.reload()
    await elsewhere.is_signed_out()


async def test_name_and_language_are_kept(visit, newcomer, device):
    await newcomer.sign_up()
    visitor = await visit(device)
    await visitor.open_account(newcomer.email, PASSWORD)
    profile = visitor.part("Profile")
    await profile.get_by_label("Name").fill("Ada Lovelace")
    await profile.get_by_label("E-mail language").select_option("de")
    await profile.get_by_role("button", name="Save").click()
    await expect(profile.get_by_text("Saved.")).to_be_visible()
    await visitor.page.reload()
    await expect(profile.get_by_label("Name")).to_have_value("Ada Lovelace")
    await expect(profile.get_by_label("E-mail language")).to_have_value("de")


async def test_the_address_changes_once_the_link_to_the_new_one_was_followed(visit, cinema, newcomer):
    await newcomer.sign_up()
    moved = Newcomer(cinema)
    visitor = await visit()
    await visitor.open_account(newcomer.email, PASSWORD)
    part = visitor.part("E-mail address")
    await part.get_by_label("New address").fill(moved.email)
    await part.get_by_label("Password").fill("not the password")
    await part.get_by_role("button", name="Change address").click()
    await expect(part.get_by_role("alert")).to_contain_text("The password is wrong.")
    await part.get_by_label("Password").fill(PASSWORD)
    await part.get_by_role("button", name="Change address").click()
    await expect(part.get_by_text("We have sent a link to the new address")).to_be_visible()
    await expect(part.get_by_text(f"Your address is {newcomer.email}.")).to_be_visible()
    await follow(visitor, moved, CONFIRM_NEW)
    await visitor.button("Confirm address").click()
    await expect(visitor.page.get_by_text(f"{moved.email} is confirmed")).to_be_visible()
    await (await visit()).open_account(moved.email, PASSWORD)


async def test_a_new_password_ends_the_other_sessions_and_keeps_this_one(visit, newcomer, device):
    await newcomer.sign_up()
    elsewhere, visitor = await visit(), await visit(device)
    await elsewhere.open_account(newcomer.email, PASSWORD)
    await visitor.open_account(newcomer.email, PASSWORD)
    part = visitor.part("Password")
    await part.get_by_label("Current password").fill("not the password")
    await part.get_by_label("New password").fill(OTHER)
    await part.get_by_role("button", name="Change password").click()
    await expect(part.get_by_role("alert")).to_contain_text("The password is wrong.")
    await part.get_by_label("Current password").fill(PASSWORD)
    await part.get_by_role("button", name="Change password").click()
    await expect(part.get_by_text("Your password has been changed")).to_be_visible()
    await expect(part.get_by_label("New password")).to_have_value("")
    await visitor.page.reload()
    await expect(visitor.button("Sign out")).to_be_visible()
    await elsewhere.page.reload()
    await elsewhere.is_signed_out()
    await elsewhere.open_account(newcomer.email, OTHER)


async def test_another_session_is_seen_and_ended(visit, newcomer, device):
    await newcomer.sign_up()
    phone, visitor = await visit("phone"), await visit(device)
    await phone.open_account(newcomer.email, PASSWORD)
    await visitor.open_account(newcomer.email, PASSWORD)
    rows = visitor.part("Where you are signed in").get_by_role("listitem")
    await expect(rows).to_have_count(3)  # signing up was the first
    await expect(rows.filter(has_text="This session")).to_have_count(1)
    await rows.filter(has_text="Last active").first.get_by_role("button").click()
    await expect(rows).to_have_count(2)
    await visitor.button("Sign out everywhere else").click()
    await expect(rows).to_have_count(1)
    await expect(rows).to_contain_text("This session")
    await phone.page.reload()
    await phone.is_signed_out()
    await visitor.page.reload()
    await expect(visitor.button("Sign out")).to_be_visible()


async def test_ones_data_are_gathered_and_saved_as_a_file(visit, newcomer, device):
    await newcomer.sign_up()
    visitor = await visit(device)
    await visitor.open_account(newcomer.email, PASSWORD)
    part = visitor.part("Your data")
    await part.get_by_label("Password").fill(PASSWORD)
    await part.get_by_role("button", name="Prepare my data").click()
    await expect(part.get_by_text("Your data is ready")).to_be_visible()
    async with visitor.page.expect_download() as saving:
        await part.get_by_role("button", name="Download file").click()
    download = await saving.value
    assert download.suggested_filename == "usher-data.json"
    assert newcomer.email in saved(await download.path())


async def test_an_account_is_deleted_after_a_second_thought_and_with_the_password(visit, newcomer, device):
    await newcomer.sign_up()
    visitor = await visit(device)
    page = visitor.page
    await visitor.open_account(newcomer.email, PASSWORD)
    ask = visitor.button("Delete my account…")
    await ask.click()
    await expect(page.get_by_role("dialog")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await expect(ask).to_be_focused()
    await ask.click()
    await page.get_by_role("dialog").get_by_label("Password").fill("not the password")
    await visitor.button("Delete permanently").click()
    await expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("The password is wrong.")
    await page.get_by_role("dialog").get_by_label("Password").fill(PASSWORD)
    await visitor.button("Delete permanently").click()
    await visitor.is_signed_out()
    await expect(page.get_by_role("heading", name="Now showing")).to_be_visible()
    await page.goto("/sign-in")
    await visitor.enter(newcomer.email, PASSWORD)
    await expect(page.get_by_role("alert")).to_contain_text("The e-mail address or password is wrong")


async def test_the_next_person_at_this_browser_sees_nothing_of_the_one_before(visit, cinema, newcomer, device):
    await newcomer.sign_up()
    customer = await cinema.person("customer")
    showtime_id, seats = await cinema.seats(1)
    hold = await customer.buy(showtime_id, seats, "customer@usher.example")
    booking = await customer.settled(hold, "confirmed")
    visitor = await visit(device)
    page = visitor.page
    await visitor.sign_in()
    await page.get_by_role("link", name="My bookings").click()
    await page.locator(f'a[href="/bookings/{booking["id"]}"]').click()
    await visitor.sees_tickets(1)
    await page.get_by_role("link", name="Account").click()
    await visitor.button("Sign out").click()
    await visitor.is_signed_out()
    await page.get_by_role("navigation").get_by_role("link", name="Sign in").click()
    await visitor.enter(newcomer.email, PASSWORD)
    await visitor.is_signed_in()
    # Nothing is shown until their own bookings have loaded.
    answers = asyncio.Event()

    async def wait(route: Route) -> None:
        await answers.wait()
        await route.fallback()

    await page.route(re.compile(r"/api/bookings\b"), wait)
    await page.get_by_role("link", name="My bookings").click()
    await expect(page.locator(".skeleton").first).to_be_visible()
    await expect(page.locator('a[href^="/bookings/"]')).to_have_count(0)
    answers.set()
    await expect(page.get_by_text("You have no bookings yet")).to_be_visible()
    await page.goto(f"/bookings/{booking['id']}")
    await expect(page.get_by_role("heading", name="This booking cannot be displayed")).to_be_visible()
