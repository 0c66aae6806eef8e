"""The seat page: live, contested, cut off, by keyboard, in a list."""

import re

from playwright.async_api import WebSocketRoute, expect


async def test_two_browsers_see_each_others_seats_within_a_second(visit, house):
    one, other = await visit(), await visit("phone")
    showtime_id, seats = await house.seats(2)
    await one.open_seats(showtime_id)
    await other.open_seats(showtime_id)
    await one.take(seats[0])
    await expect(other.seat(seats[0])).to_have_attribute("data-state", "held")
    await expect(other.seat(seats[0])).to_have_attribute("aria-label", re.compile("not available$"))
    await one.button(re.compile("^Give up")).click()
    await expect(other.seat(seats[0])).to_have_attribute("data-state", "free")


async def test_who_loses_a_seat_keeps_the_others_and_is_offered_the_nearest(visit, house):
    visitor = await visit()
    # What others do is not told to this page: the seat looks free until the click.
    await visitor.page.route_web_socket(re.compile("/ws$"), lambda socket: _deaf_to(socket, "seat:"))
    showtime_id, seats = await house.seats(3)
    await visitor.open_seats(showtime_id)
    await visitor.take(seats[0])
    await house.guest().hold(showtime_id, [seats[1]])
    await visitor.pick(seats[1])
    await expect(visitor.page.get_by_text(f"{seats[1]} was just taken by somebody else.").first).to_be_visible()
    await expect(visitor.seat(seats[0])).to_have_attribute("data-state", "own")
    await visitor.button(re.compile("^Take .* instead$")).click()
    await expect(visitor.page.locator('[data-seat][data-state="own"]')).to_have_count(2)


async def test_a_socket_that_is_cut_heals_and_says_so(visit, house, device):
    visitor = await visit(device)
    sockets: list[WebSocketRoute] = []

    def through(socket: WebSocketRoute) -> None:
        sockets.append(socket)
        socket.connect_to_server()

    await visitor.page.route_web_socket(re.compile("/ws$"), through)
    showtime_id, seats = await house.seats(2)
    await visitor.open_seats(showtime_id)
    for socket in sockets:
        await socket.close()
    await house.guest().hold(showtime_id, seats[:1])
    await expect(visitor.page.locator('[data-connection="healed"]')).to_be_visible()
    await expect(visitor.seat(seats[0])).to_have_attribute("data-state", "held")
    await expect(visitor.page.locator('[data-connection="live"]')).to_be_visible()


async def test_the_keyboard_alone_holds_a_seat_and_gives_it_up(visit, house):
    visitor = await visit()
    page = visitor.page
    showtime_id, _ = await house.seats(1)
    await visitor.open_seats(showtime_id)
    await visitor.party(1)
    await page.locator('[data-seat][tabindex="0"]').focus()
    await page.keyboard.press("ArrowRight")
    await page.keyboard.press("ArrowDown")
    focused = page.locator("[data-seat]:focus")
    await expect(focused).to_have_attribute("data-state", "free")
    await expect(page.locator('[data-seat][tabindex="0"]')).to_have_count(1)
    await page.keyboard.press("Space")
    await expect(focused).to_have_attribute("data-state", "own")
    await expect(focused).to_have_attribute("aria-checked", "true")
    await page.keyboard.press("Enter")
    await expect(focused).to_have_attribute("data-state", "free")
    await expect(page.get_by_role("timer")).to_have_count(0)


async def test_the_list_says_what_the_map_says(visit, house, device):
    visitor = await visit(device)
    page = visitor.page
    showtime_id, seats = await house.seats(2)
    await visitor.open_seats(showtime_id)
    await house.guest().hold(showtime_id, [seats[1]])
    await expect(visitor.seat(seats[1])).to_have_attribute("data-state", "held")
    await visitor.party(1)
    await visitor.button("Choose from a list").click()
    await page.get_by_role("checkbox", name=_listed(seats[0])).check()
    await expect(page.get_by_role("timer")).to_be_visible()
    await expect(page.get_by_role("checkbox", name=_listed(seats[1]))).to_be_disabled()
    await visitor.button("Back to the map").click()
    await expect(visitor.seat(seats[0])).to_have_attribute("data-state", "own")


async def test_a_tap_on_a_small_seat_brings_it_near_and_the_next_one_takes_it(visit, house):
    visitor = await visit("phone")
    showtime_id, seats = await house.seats(1, hall=200)
    await visitor.open_seats(showtime_id)
    await visitor.party(1)
    seat = visitor.seat(seats[0])
    await seat.tap()
    await expect(visitor.button("Zoom out")).to_be_enabled()
    box = await seat.bounding_box()
    assert box
    assert box["width"] >= 44
    await expect(seat).to_have_attribute("data-state", "free")
    await seat.tap()
    await expect(seat).to_have_attribute("data-state", "own")
    await visitor.button("Show the whole hall").click()
    await expect(visitor.button("Zoom out")).to_be_disabled()


async def test_seats_that_ran_out_are_offered_again_and_the_ticket_types_are_kept(visit_hasty, hasty_house, device):
    visitor = await visit_hasty(device)
    page = visitor.page
    showtime_id, seats = await hasty_house.seats(2)
    await visitor.open_seats(showtime_id)
    await visitor.take(*seats)
    await expect(page.get_by_role("heading", name="Keep your seats?")).to_be_visible()
    await visitor.button("No, thank you").click()
    await visitor.button("Take the same seats again").click()
    await expect(page.get_by_role("timer")).to_be_visible()
    await visitor.button("Keep my seats").click()
    await visitor.button("Continue").click()
    await page.wait_for_url("**/checkout/*")
    first = page.url
    await page.get_by_label(re.compile("^Ticket for")).first.select_option("child")
    await expect(page.get_by_role("heading", name="The time for your seats is over")).to_be_visible()
    await visitor.button("Take the same seats again").click()
    await expect(page).not_to_have_url(first)
    await expect(page.get_by_label(re.compile("^Ticket for")).first).to_have_value("child")


def _deaf_to(socket: WebSocketRoute, kind: str) -> None:
    """Let everything through but messages of a kind."""
    server = socket.connect_to_server()
    server.on_message(lambda message: None if f'"type":"{kind}' in str(message) else socket.send(message))


def _listed(seat_id: str) -> re.Pattern[str]:
    """How the list calls a seat."""
    row = seat_id.rstrip("0123456789")
    return re.compile(rf"^Row {row}, Seat {seat_id.removeprefix(row)}\b")
