"""Buy a ticket on a running platform as a client would, and print each step with its duration: `make demo`.

All requests go through the gateway, except the card number (sent to Stripe, as in the browser) and the read of the
mailbox. The exit status is 0 if every step succeeded.
"""

import asyncio
import os
import sys
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import httpx
import segno
from contracts.currencies import decimal
from customer import Customer, Json, Refused
from dotenv import dotenv_values

EMAIL, PASSWORD = "customer@usher.example", "popcorn-and-a-movie"
SECONDS = 60.0
GREEN, RED, DIM, BOLD, PLAIN = (f"\033[{code}m" if sys.stdout.isatty() else "" for code in (32, 31, 2, 1, 0))


class Failure(Exception):
    """A step failed."""


class Trace:
    """The WebSocket's messages with the time since the first hold was requested."""

    def __init__(self) -> None:
        self.began = time.perf_counter()
        self.messages: list[tuple[float, Json]] = []

    def add(self, message: Json) -> None:
        """Record a message with its time."""
        self.messages.append(((time.perf_counter() - self.began) * 1000, message))

    async def seen(self, kind: str, seats: Collection[str] = (), **fields: Any) -> Json:
        """Return the first message of the kind that has these fields and contains these seats. Raises Failure."""
        try:
            async with asyncio.timeout(SECONDS):
                while True:
                    for _, message in self.messages:
                        has_seats = set(seats) <= set(message.get("seats", ()))
                        if message["type"] == kind and has_seats and fields.items() <= message.items():
                            return message
                    await asyncio.sleep(0.005)
        except TimeoutError:
            raise Failure(f"no {kind} {fields} within {SECONDS:.0f} s") from None

    def show(self, booking: Json) -> None:
        """Print the WebSocket's messages, one per line, without those about other bookings and seat presence."""
        for milliseconds, message in self.messages:
            is_about_it = message.get("booking_id", booking["id"]) == booking["id"]
            if is_about_it and message["type"] not in {"authenticated", "seat:select"}:
                what = message.get("seats") or [message.get("state", f"version {message.get('version')}")]
                print(f"  {DIM}{milliseconds:7.1f} ms{PLAIN}  {message['type']:16} {', '.join(what)}")


def show_saga(booking: Json) -> None:
    """Print the saga's steps: each event and the state after it."""
    began = datetime.fromisoformat(booking["history"][0]["at"])
    for passage in booking["history"]:
        milliseconds = (datetime.fromisoformat(passage["at"]) - began).total_seconds() * 1000
        print(f"  {DIM}{milliseconds:7.1f} ms{PLAIN}  {passage['event']:28} → {passage['state']}")


@contextmanager
def step(what: str) -> Iterator[list[str]]:
    """Print a step with its milliseconds and its notes."""
    notes: list[str] = []
    began = time.perf_counter()
    try:
        yield notes
    except Exception:
        print(f"{RED}✗{PLAIN} {what}")
        raise
    print(f"{GREEN}✓{PLAIN} {what:44} {DIM}{(time.perf_counter() - began) * 1000:7.1f} ms{PLAIN}  {'; '.join(notes)}")


def shortened(text: str) -> str:
    """Shorten a signed text to its beginning and end."""
    return f"{text[:6]}…{text[-6:]}"


async def find_showtime(customer: Customer) -> tuple[Json, list[str]]:
    """Find a showtime on sale with at least three free seats and return it with them."""
    cursor = None
    while True:
        page = await customer.call("GET", "/api/showtimes", params={"cursor": cursor} if cursor else {})
        for showtime in page["items"]:
            free = await customer.free_seats(showtime["id"])
            if len(free) >= 3:
                return showtime, free
        if (cursor := page["next_cursor"]) is None:
            raise Failure("no showtime has three free seats")


async def lose_a_race(first: Customer, second: Customer, showtime_id: str, seat: str) -> Refused:
    """Let both request the seat at the same time and return the loser's 409."""
    answers = await asyncio.gather(
        first.hold(showtime_id, [seat]), second.hold(showtime_id, [seat]), return_exceptions=True
    )
    holds = [answer for answer in answers if isinstance(answer, dict)]
    refusals = [answer for answer in answers if isinstance(answer, Refused) and answer.status == 409]
    for hold in holds:
        await first.call("DELETE", f"/api/holds/{hold['hold_id']}", secret=hold.get("secret"))
    if (len(holds), len(refusals)) != (1, 1):
        raise Failure(f"a race for one seat ended with {answers}")
    return refusals[0]


async def find_mail(http: httpx.AsyncClient, mailbox: str, reference: str) -> Json:
    """Wait for the confirmation mail with the booking's reference in the mail catcher."""
    async with asyncio.timeout(SECONDS):
        while True:
            for mail in (await http.get(f"{mailbox}/email")).json():
                if reference in mail["subject"] + mail.get("text", ""):
                    return mail
            await asyncio.sleep(0.1)


async def sell(customer: Customer, guest: Customer, mailbox: str) -> None:
    """Run all steps. Raises Failure, Refused or TimeoutError."""
    with step("log in") as notes:
        notes.append((await customer.log_in(EMAIL, PASSWORD))["user"]["email"])
    with step("find a showtime") as notes:
        showtime, free = await find_showtime(customer)
        showtime_id = showtime["id"]
        notes.append(f"{showtime['movie_title']}, {showtime['starts_at']}, {len(free)} seats free")

    trace = Trace()
    async with customer.watching(showtime_id, trace.add):
        with step("watch its seats over the WebSocket") as notes:
            snapshot = await trace.seen("showtime:update", showtime_id=showtime_id)
            notes.append(f"snapshot, version {snapshot['version']}")
        with step("hold two seats") as notes:
            hold = await customer.hold(showtime_id, free[:2])
            held = [seat["seat_id"] for seat in hold["seats"]]  # seats may be numbered from the right
            await trace.seen("seat:lock", seats=held)
            notes.append(f"{', '.join(held)} until {hold['expires_at']}, claim {shortened(hold['claim'])}")
        with step("lose a race for a third") as notes:
            lost = await lose_a_race(customer, guest, showtime_id, free[2])
            notes.append(f"{lost.status} {lost.problem['code']}: {lost.problem['detail']}")
        with step("check out with the claim") as notes:
            booking = await customer.check_out(hold, EMAIL)
            price = f"{decimal(booking['amount'], booking['currency'])} {booking['currency']}"
            notes.append(f"{booking['reference']}, {price}, payment order {shortened(booking['order'])}")
        with step("pay the order with a test card") as notes:
            paid = await customer.pay(await customer.create_intent(hold))
            notes.append(f"{paid['id']} {paid['status']}")
        with step("wait for the confirmation") as notes:
            await trace.seen("booking:update", booking_id=hold["hold_id"], state="confirmed")
            booking = await customer.settled(hold, "confirmed")
            notes.append(f"{len(booking['tickets'])} tickets")
        with step("read the e-mail") as notes:
            mail = await find_mail(customer.http, mailbox, booking["reference"])
            notes.append(f"“{mail['subject']}”")

    print(f"\n{BOLD}The saga's events, as booking applied them{PLAIN}")
    show_saga(booking)
    print(f"\n{BOLD}The WebSocket's messages{PLAIN}")
    trace.show(booking)
    for ticket in booking["tickets"]:
        seat = ticket["seat"]
        row = f"{seat['area']}, row {seat['row']}" if seat["area"] else f"Row {seat['row']}"
        print(f"\n{BOLD}{row}, seat {seat['number']}{seat['suffix'] or ''}{PLAIN}  {ticket['ticket_type']}")
        segno.make(ticket["qr"], error="l").terminal(compact=True)


async def main() -> int:
    """Find the platform and run the demo."""
    settings = {**dotenv_values(".env"), **os.environ}
    url = settings.get("PUBLIC_URL") or f"http://127.0.0.1:{settings.get('GATEWAY_PORT') or 8080}"
    mailbox = settings.get("MAILBOX_URL") or f"http://127.0.0.1:{settings.get('MAILBOX_PORT') or 1180}"
    async with httpx.AsyncClient(timeout=SECONDS) as http:
        try:
            await sell(Customer(url, http), Customer(url, http), mailbox)
        except httpx.ConnectError:
            print(f"Nobody answers at {url}: start the platform with `make run`.")
            return 1
        except (Failure, Refused, TimeoutError) as failure:
            print(f"{RED}{type(failure).__name__}: {failure}{PLAIN}")
            return 1
    print(f"\n{GREEN}Sold.{PLAIN}")
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
