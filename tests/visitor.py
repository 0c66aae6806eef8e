"""Somebody in front of the pages: what people do, in their words."""

import re
from dataclasses import dataclass
from typing import Any

from customer import Json
from house import PASSWORD, House
from playwright.async_api import Locator, Page, expect

GOOD, DECLINED, ASKED = "4242424242424242", "4000000000000002", "4000002500003155"
expect.set_options(timeout=60_000)


@dataclass
class Visitor:
    """One browser tab."""

    page: Page
    house: House

    def button(self, name: str | re.Pattern[str]) -> Locator:
        """A button by what it says."""
        return self.page.get_by_role("button", name=name, exact=isinstance(name, str))

    def seat(self, seat_id: str) -> Locator:
        """A seat of the map."""
        return self.page.locator(f'[data-seat="{seat_id}"]')

    async def open_seats(self, showtime_id: str) -> None:
        """Go to a showtime's seats and wait until they are live."""
        await self.page.goto(f"/showtimes/{showtime_id}")
        await expect(self.page.locator('[data-connection="live"]')).to_be_visible()

    async def party(self, count: int) -> None:
        """Say for how many people."""
        await self.page.get_by_label("Seats", exact=True).select_option(str(count))

    async def take(self, *seat_ids: str) -> None:
        """Click just these seats and wait until they are held."""
        await self.party(1)
        for count, seat_id in enumerate(seat_ids, start=1):
            await self.pick(seat_id)
            await self.party(count + 1)
        await expect(self.page.get_by_role("timer")).to_be_visible()
        for seat_id in seat_ids:
            await expect(self.seat(seat_id)).to_have_attribute("data-state", "own")

    async def hold(self, count: int) -> tuple[str, list[str]]:
        """Hold seats of a showtime of one's own: which, and which they are."""
        showtime_id, seats = await self.house.seats(count)
        await self.open_seats(showtime_id)
        await self.take(*seats)
        return showtime_id, seats

    async def change_elsewhere(self, method: str, hold_id: str, **request: Any) -> Json:
        """Change the guest's hold without this page's knowledge; the hold afterwards."""
        secret = await self.page.evaluate("() => sessionStorage.getItem('usher.guest')")
        return await self.house.guest().call(method, f"/api/holds/{hold_id}", secret=secret, **request)

    async def pick(self, seat_id: str) -> None:
        """Click a seat; on a phone the first tap may only bring the seats near."""
        seat = self.seat(seat_id)
        await seat.scroll_into_view_if_needed()
        await seat.dispatch_event("click")

    async def order(self, email: str | None = None) -> None:
        """From the seats to the card form."""
        await self.button("Continue").click()
        await self.page.wait_for_url("**/checkout/*")
        if email:
            await self.page.get_by_label("E-mail").fill(email)
        await self.button(re.compile("Continue to payment")).click()

    async def pay(self, number: str = GOOD) -> None:
        """Type a card into Stripe's form and pay."""
        await self.fill_card(number)
        await self.button(re.compile("^Pay ")).click()

    async def fill_card(self, number: str) -> None:
        """Type a card into Stripe's form."""
        card = self.page.frame_locator('iframe[title="Secure payment input frame"]')
        await card.get_by_label("Card number").fill(number)
        await card.get_by_label("Expiry").fill("1234")
        await card.get_by_label("CVC").fill("123")

    async def answer_bank(self, name: str) -> None:
        """Answer the bank's question of 3-D Secure."""
        bank = self.page.frame_locator('iframe[title="3D Secure authentication"]')
        await bank.get_by_role("button", name=name).click()

    async def sees_tickets(self, count: int) -> None:
        """The confirmation with this many tickets."""
        await expect(self.page.get_by_role("heading", name="Enjoy the film!")).to_be_visible()
        await expect(self.page.get_by_role("img", name=re.compile("^QR code of the ticket"))).to_have_count(count)

    async def sign_in(self, name: str = "customer") -> None:
        """As one of the demo's people."""
        await self.page.goto("/sign-in")
        await self.enter(f"{name}@usher.example", PASSWORD)
        await self.is_signed_in()

    async def open_account(self, email: str, password: str) -> None:
        """Sign in on the way to one's account."""
        await self.page.goto("/sign-in?next=/account")
        await self.enter(email, password)
        await expect(self.button("Sign out")).to_be_visible()

    async def enter(self, email: str, password: str) -> None:
        """Fill in the sign-in form and send it."""
        await self.page.get_by_label("E-mail").fill(email)
        await self.page.get_by_label("Password").fill(password)
        await self.button("Sign in").click()

    async def is_signed_in(self) -> None:
        """The page's head says so."""
        await expect(self.page.get_by_role("link", name="My bookings")).to_be_visible()

    async def is_signed_out(self) -> None:
        """The page's head says so."""
        await expect(self.page.get_by_role("navigation").get_by_role("link", name="Sign in")).to_be_visible()

    def part(self, title: str) -> Locator:
        """A section of a page, by its heading."""
        return self.page.locator("section").filter(has=self.page.get_by_role("heading", name=title, exact=True))
