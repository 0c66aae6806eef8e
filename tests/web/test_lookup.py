"""A booking on another device, and a lost booking."""

import asyncio
import re

import pytest
from customer import Customer
from playwright.async_api import expect

EXPIRED = "#key=eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJiMSJ9.c2lnbmF0dXJl"


def as_typed(reference: str) -> str:
    """Write a reference as people copy it from a ticket: ` abcd – EFGH.`"""
    return f" {reference[:4].lower()} – {reference[4:]}."


async def bought(cinema, email: str):
    """A guest's booking of two seats made with another client, and the link in its mail."""
    guest: Customer = cinema.guest()
    showtime_id, seats = await cinema.seats(2)
    hold = await guest.buy(showtime_id, seats, email)
    booking = await guest.settled(hold, "confirmed")
    return booking, await cinema.mailed_link(booking["reference"], "Your tickets")


async def test_the_mailed_link_shows_the_tickets_and_leaves_the_address_bar(visit, cinema, device):
    booking, link = await bought(cinema, f"reader-{device}@usher.example")
    visitor = await visit(device)
    page = visitor.page
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    await page.goto("/theaters")
    await page.goto(link)
    await visitor.sees_tickets(2)
    await expect(page.get_by_text(booking["reference"], exact=True)).to_be_visible()
    plain = f"{cinema.platform.url}/bookings/{booking['id']}"
    assert page.url == plain
    for button, begins in (
        ("Tickets as PDF", b"%PDF-"),
        ("Receipt", b"%PDF-"),
        ("Add to calendar", b"BEGIN:VCALENDAR"),
    ):
        async with page.expect_download() as waiting:
            await visitor.button(button).click()
        download = await waiting.value
        assert booking["reference"] in download.suggested_filename
        content = await asyncio.to_thread((await download.path()).read_bytes)
        assert content.startswith(begins)
    await page.reload()
    await visitor.sees_tickets(2)
    await page.get_by_role("link", name="More films").click()
    await expect(page).to_have_url(f"{cinema.platform.url}/")
    await page.go_back()
    await visitor.sees_tickets(2)
    assert page.url == plain
    await page.go_back()
    await expect(page).to_have_url(re.compile("/theaters$"))
    key = link.partition("#key=")[2]
    assert not [url for url in requests if key in url.partition("#")[0]], "no server gets the key in an address"
    kept = await page.evaluate("JSON.stringify(localStorage) + document.cookie")
    assert key not in kept


async def test_another_tab_has_only_the_kept_tickets_until_it_follows_the_link(visit, cinema):
    booking, link = await bought(cinema, "two-tabs@usher.example")
    visitor = await visit()
    await visitor.page.goto(link)
    await visitor.sees_tickets(2)
    other = await visitor.page.context.new_page()
    await other.goto(f"/bookings/{booking['id']}")
    await expect(other.get_by_text("saved on this device")).to_be_visible()
    await other.get_by_role("button", name="Erase from this device").click()
    await expect(other.get_by_role("heading", name="This booking cannot be displayed")).to_be_visible()
    await other.goto(link)
    await expect(other.get_by_role("img", name=re.compile("^QR code of the ticket"))).to_have_count(2)
    await expect(other.get_by_text("saved on this device")).to_have_count(0)


async def test_who_lost_the_mail_asks_for_a_link_and_opens_it(visit, cinema, device):
    email = f"forgetful-{device}@usher.example"
    booking, _ = await bought(cinema, email)
    visitor = await visit(device)
    page = visitor.page
    await page.goto("/sign-in")
    await page.get_by_role("link", name="Booked without an account?").click()
    await page.get_by_label("Booking reference (optional)").fill(as_typed(booking["reference"]))
    await page.get_by_label("E-mail").fill(email)
    await visitor.button("Send me the link").click()
    await expect(page.get_by_text(f"sent a link to {email}")).to_be_visible()
    await page.goto(await cinema.mailed_link(booking["reference"], "Your booking"))
    await visitor.sees_tickets(2)


@pytest.mark.parametrize("start", ["/", "/bookings"])
async def test_the_page_is_found_from(visit, start: str):
    visitor = await visit()
    page = visitor.page
    await page.goto(start)
    name = "Booked without an account?" if start == "/bookings" else "Find my booking"
    await page.get_by_role("link", name=name).first.click()
    await expect(page.get_by_role("heading", name="Find my booking")).to_be_visible()


async def test_what_does_not_fit_is_answered_alike(visit):
    visitor = await visit()
    page = visitor.page
    await page.goto("/find-booking")
    await page.get_by_label("Booking reference (optional)").fill("CDFGHJKM")
    await page.get_by_label("E-mail").fill("nobody@usher.example")
    await visitor.button("Send me the link").click()
    await expect(page.get_by_text("If this booking exists")).to_be_visible()


async def test_a_link_that_is_too_old_leads_to_a_new_one_in_german(visit, cinema):
    booking, link = await bought(cinema, "late@usher.example")
    visitor = await visit(locale="de-DE")
    page = visitor.page
    for address in (
        f"/bookings/{booking['id']}{EXPIRED}",
        f"/bookings/{booking['id']}#key=cut",
        f"/bookings/another#{link.partition('#')[2]}",
        f"/bookings/{booking['id']}#key=ключ{'x' * 20_000}",
    ):
        await page.goto("about:blank")
        await page.goto(address)
        title = page.get_by_role("heading", name="Dieser Link ist ungültig")
        await expect(title).to_be_visible()
        assert "#" not in page.url
    await page.get_by_role("main").get_by_role("link", name="Meine Buchung finden").click()
    await expect(page.get_by_label("Buchungsnummer (falls bekannt)")).to_be_visible()
    await page.goto(link)
    await expect(page.get_by_role("img", name=re.compile("^QR-Code"))).to_have_count(2)
