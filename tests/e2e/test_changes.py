"""A theater moves a showtime and then cancels it: customers get mails and then their money back."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from chassis.testing import until


async def test_people_with_tickets_are_told_when_their_showtime_moves_and_when_it_is_cancelled(cinema):
    guest, admin = cinema.guest(), await cinema.person("admin")
    showtime_id, seats = await cinema.seats(1)
    hold = await guest.buy(showtime_id, seats, "guest@usher.example")
    booking = await guest.settled(hold, "confirmed")
    reference, old = booking["reference"], datetime.fromisoformat(booking["screening"]["starts_at"])
    showtime = await guest.call("GET", f"/api/showtimes/{showtime_id}")
    local = old.astimezone(ZoneInfo(showtime["time_zone"])).replace(tzinfo=None)
    later = local + timedelta(days=60)

    async def mailed(subject: str) -> list[dict]:
        return [mail for mail in await cinema.mails(reference) if mail["subject"].startswith(subject)]

    moved = await admin.call("PATCH", f"/api/showtimes/{showtime_id}", json={"local_start": later.isoformat()})
    [mail] = await until(lambda: mailed("New time: "))
    assert datetime.fromisoformat(moved["starts_at"]) - old >= timedelta(days=59)
    assert f"{later.day} {later:%B} {later.year}" in mail["subject"]
    assert "stay valid" in mail["text"]
    assert f"/bookings/{booking['id']}/choice#key=" in mail["text"]
    kept = {"choice": "keep", "starts_at": moved["starts_at"]}
    path = f"/api/bookings/{booking['id']}/choice"
    assert (await guest.call("POST", path, json=kept, secret=hold["secret"]))["choice"]["is_kept"]
    assert (await guest.booking(hold))["tickets"] == booking["tickets"]

    await admin.call("POST", f"/api/showtimes/{showtime_id}/cancel", json={"reason": "technical"})
    [mail] = await until(lambda: mailed("Cancelled: "))
    assert f"{booking['amount'] / 100:.2f}" in mail["text"]
    refunded = await guest.settled(hold, "refunded")
    assert refunded["refunded_amount"] == booking["amount"]
    [mail] = await until(lambda: mailed("Refund of "))
    assert f"{booking['amount'] / 100:.2f}" in mail["text"]
    subjects = ("Your tickets: ", "New time: ", "Cancelled: ", "Refund of ")
    assert [len(await mailed(subject)) for subject in subjects] == [1, 1, 1, 1]
