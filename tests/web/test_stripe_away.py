"""Stripe fails for a while during a payment: one clear sentence, the seats stay, and the next attempt succeeds."""

import re
from typing import NamedTuple

import pytest
from playwright.async_api import expect


class Texts(NamedTuple):
    """Return the page's message."""

    sentence: str
    kept: str
    wait: str
    again: str


TEXTS = {
    "en-GB": Texts("You have not been charged.", "Your seats are held", r"^Try again in \d+ s$", "Try again"),
    "de-DE": Texts(
        "Es wurde nichts abgebucht.", "Ihre Plätze sind", r"^Neuer Versuch in \d+ s$", "Noch einmal versuchen"
    ),
}


@pytest.mark.parametrize("locale", TEXTS)
async def test_the_page_keeps_the_seats_and_says_when_to_try_again(visit, cinema, locale):
    says = TEXTS[locale]
    visitor = await visit("phone", locale=locale)
    page = visitor.page
    guest, (showtime_id, seats) = cinema.guest(), await cinema.seats(2)
    hold = await guest.hold(showtime_id, seats)
    await guest.check_out(hold, "guest@usher.example")
    failing = {"kind": "api_error", "metadata": {"booking_id": hold["hold_id"]}, "count": None}
    fault = await cinema.stripe("POST", "/_sandbox/faults", json=failing)
    await page.add_init_script(f"sessionStorage.setItem('usher.guest', {hold['secret']!r})")
    await page.goto(f"/checkout/{hold['hold_id']}")
    alert = page.get_by_role("alert")
    await expect(alert).to_contain_text(says.sentence)
    await expect(alert).to_contain_text(says.kept)
    await expect(visitor.button(re.compile(says.wait))).to_be_disabled()
    taken = await cinema.taken(showtime_id)
    assert {seat: taken[seat] for seat in seats} == dict.fromkeys(seats, "held")
    await cinema.stripe("DELETE", f"/_sandbox/faults/{fault['id']}")
    await expect(visitor.button(says.again)).to_be_enabled()
    await visitor.button(says.again).click()
    await expect(alert).to_have_count(0)
    card = page.frame_locator('iframe[title="Secure payment input frame"]')
    await expect(card.get_by_role("textbox").first).to_be_visible()
    intents = await cinema.stripe("GET", "/v1/payment_intents", params={"limit": 100})
    own = [each for each in intents["data"] if each["metadata"].get("booking_id") == hold["hold_id"]]
    assert [each["status"] for each in own] == ["requires_payment_method"]
