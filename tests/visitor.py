"""A visitor of the web client: each method is something that people do."""

import re
from dataclasses import dataclass
from typing import Any

from cinema import PASSWORD, Cinema
from customer import Json
from playwright.async_api import Locator, Page, expect

GOOD, DECLINED, ASKED = "4242424242424242", "4000000000000002", "4000002500003155"
expect.set_options(timeout=60_000)


@dataclass
class Visitor:
    """One browser tab."""

    page: Page
    cinema: Cinema

    def button(self, name: str | re.Pattern[str]) -> Locator:
        """Find a button by its text."""
        return self.page.get_by_role("button", name=name, exact=isinstance(name, str))

    def seat(self, seat_id: str) -> Locator:
        """Find a seat on the map."""
        return self.page.locator(f'[data-seat="{seat_id}"]')

    async def open_seats(self, showtime_id: str) -> None:
        """Open a showtime's seat page and wait until it is live."""
        await self.page.goto(f"/showtimes/{showtime_id}")
        await expect(self.page.locator('[data-connection="live"]')).to_be_visible()

    async def party(self, count: int) -> None:
        """Choose the number of people."""
        await self.page.get_by_label("Seats", exact=True).select_option(str(count))

    async def take(self, *seat_ids: str) -> None:
        """Click exactly these seats and wait until they are held."""
        await self.party(1)
        for count, seat_id in enumerate(seat_ids, start=1):
            await self.pick(seat_id)
            await self.party(count + 1)
        await expect(self.page.get_by_role("timer")).to_be_visible()
        for seat_id in seat_ids:
            await expect(self.seat(seat_id)).to_have_attribute("data-state", "own")

    async def hold(self, count: int) -> tuple[str, list[str]]:
        """Hold seats of an unused showtime. Returns the showtime and the seats."""
        showtime_id, seats = await self.cinema.seats(count)
        await self.open_seats(showtime_id)
        await self.take(*seats)
        return showtime_id, seats

    async def change_elsewhere(self, method: str, hold_id: str, **request: Any) -> Json:
        """Change the guest's hold without this page's knowledge. Returns the hold afterwards."""
        secret = await self.page.evaluate("() => sessionStorage.getItem('usher.guest')")
        return await self.cinema.guest().call(method, f"/api/holds/{hold_id}", secret=secret, **request)

    async def pick(self, seat_id: str) -> None:
        """Click a seat. On a phone the first tap may only zoom in."""
        seat = self.seat(seat_id)
        await seat.scroll_into_view_if_needed()
        await seat.dispatch_event("click")

    async def order(self, email: str | None = None) -> None:
        """Go from the seats to the card form."""
        await self.button("Continue").click()
        await self.page.wait_for_url("**/checkout/*")
        if email:
            await self.page.get_by_label("E-mail").fill(email)
        await self.button(re.compile("Continue to payment")).click()

    async def pay(self, number: str = GOOD) -> None:
        """Enter a card in Stripe's form and pay."""
        await self.fill_card(number)
        await self.button(re.compile("^Pay ")).click()

    async def fill_card(self, number: str) -> None:
        """Enter a card in Stripe's form."""
        card = self.page.frame_locator('iframe[title="Secure payment input frame"]')
        await card.get_by_label("Card number").fill(number)
        await card.get_by_label("Expiry").fill("1234")
        await card.get_by_label("CVC").fill("123")

    async def answer_bank(self, name: str) -> None:
        """Answer the bank's 3-D Secure question."""
        bank = self.page.frame_locator('iframe[title="3D Secure authentication"]')
        await bank.get_by_role("button", name=name).click()

    async def sees_tickets(self, count: int) -> None:
        """Wait for the confirmation with this many tickets."""
        await expect(self.page.get_by_role("heading", name="Enjoy the film!")).to_be_visible()
        await expect(self.page.get_by_role("img", name=re.compile("^QR code of the ticket"))).to_have_count(count)

    async def sign_in(self, name: str = "customer") -> None:
        """Become one of the demo's people."""
        await self.page.goto("/sign-in")
        await self.enter(f"{name}@usher.example", PASSWORD)
        await self.is_signed_in()

    async def open_account(self, email: str, password: str) -> None:
        """Sign in on the way to the account page."""
        await self.page.goto("/sign-in?next=/account")
        await self.enter(email, password)
        await expect(self.button("Sign out")).to_be_visible()

    async def enter(self, email: str, password: str) -> None:
        """Fill in and submit the sign-in form."""
        await self.page.get_by_label("E-mail").fill(email)
        await self.page.get_by_label("Password").fill(password)
        await self.button("Sign in").click()

    async def is_signed_in(self) -> None:
        """Wait until the page's header shows it."""
        await expect(self.page.get_by_role("link", name="My bookings")).to_be_visible()

    async def is_signed_out(self) -> None:
        """Wait until the page's header shows it."""
        await expect(self.page.get_by_role("navigation").get_by_role("link", name="Sign in")).to_be_visible()

    def part(self, title: str) -> Locator:
        """Find a section of a page by its heading."""
        return self.page.locator("section").filter(has=self.page.get_by_role("heading", name=title, exact=True))
