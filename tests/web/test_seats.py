"""The seat page: live, contested, offline, by keyboard, as a list."""

import asyncio
import re
from typing import Any

import pytest
from chassis.testing import until
from playwright.async_api import Page, Route, WebSocketRoute, expect

# The letters and selected seats in sight that something else covers.
COVERED = """() => {
  const map = document.querySelector("svg.seats[role]");
  const frame = map.getBoundingClientRect();
  const isInside = ({ x, y }) => x > frame.left && x < frame.right && y > frame.top && y < frame.bottom;
  return [...map.querySelectorAll('.row-letter, [data-state="own"]')].filter((each) => {
    const { left, top, width, height } = each.getBoundingClientRect();
    const middle = { x: left + width / 2, y: top + height / 2 };
    return isInside(middle) && !map.contains(document.elementFromPoint(middle.x, middle.y));
  }).map((each) => each.outerHTML);
}"""


async def test_two_browsers_see_each_others_seats_within_a_second(visit, cinema):
    one, other = await visit(), await visit("phone")
    showtime_id, seats = await cinema.seats(2)
    await one.open_seats(showtime_id)
    await other.open_seats(showtime_id)
    await one.take(seats[0])
    await expect(other.seat(seats[0])).to_have_attribute("data-state", "held")
    await expect(other.seat(seats[0])).to_have_attribute("aria-label", re.compile("not available$"))
    await one.button(re.compile("^Remove")).click()
    await expect(other.seat(seats[0])).to_have_attribute("data-state", "free")


async def test_who_loses_a_seat_keeps_the_others_and_is_offered_the_nearest(visit, cinema):
    visitor = await visit()
    # This page gets no live updates: the seat looks free until the click.
    await visitor.page.route_web_socket(re.compile("/ws$"), lambda socket: _deaf_to(socket, "seat:"))
    showtime_id, seats = await cinema.seats(3)
    await visitor.open_seats(showtime_id)
    await visitor.take(seats[0])
    await cinema.guest().hold(showtime_id, [seats[1]])
    await visitor.pick(seats[1])
    await expect(visitor.page.get_by_text(f"{seats[1]} was just taken by someone else.").first).to_be_visible()
    await expect(visitor.seat(seats[0])).to_have_attribute("data-state", "own")
    await visitor.button(re.compile("^Take .* instead$")).click()
    await expect(visitor.page.locator('[data-seat][data-state="own"]')).to_have_count(2)


async def test_a_socket_that_is_cut_heals_and_says_so(visit, cinema, device):
    visitor = await visit(device)
    sockets: list[WebSocketRoute] = []

    def through(socket: WebSocketRoute) -> None:
        sockets.append(socket)
        socket.connect_to_server()

    await visitor.page.route_web_socket(re.compile("/ws$"), through)
    showtime_id, seats = await cinema.seats(2)
    await visitor.open_seats(showtime_id)
    for socket in sockets:
        await socket.close()
    await cinema.guest().hold(showtime_id, seats[:1])
    await expect(visitor.page.locator('[data-connection="healed"]')).to_be_visible()
    await expect(visitor.seat(seats[0])).to_have_attribute("data-state", "held")
    await expect(visitor.page.locator('[data-connection="live"]')).to_be_visible()


async def test_a_change_that_never_came_is_made_up_for_by_the_next_one(visit, cinema, device):
    visitor = await visit(device)
    dropped: list[str] = []

    def drop_first(socket: WebSocketRoute) -> None:
        server = socket.connect_to_server()

        def hear(message: str | bytes) -> None:
            if '"type":"seat:lock"' in str(message) and not dropped:
                dropped.append(str(message))
            else:
                socket.send(message)

        server.on_message(hear)

    await visitor.page.route_web_socket(re.compile("/ws$"), drop_first)
    showtime_id, seats = await cinema.seats(2)
    await visitor.open_seats(showtime_id)
    await cinema.guest().hold(showtime_id, seats[:1])
    await until(lambda: ready(dropped))
    await expect(visitor.seat(seats[0])).to_have_attribute("data-state", "free")
    await cinema.guest().hold(showtime_id, seats[1:])
    await expect(visitor.page.locator('[data-connection="healed"]')).to_be_visible()
    for seat in seats:
        await expect(visitor.seat(seat)).to_have_attribute("data-state", "held")


async def test_a_change_that_nothing_follows_is_found_by_comparing(visit, cinema):
    visitor = await visit()
    page = visitor.page
    await page.clock.install()
    await page.route_web_socket(re.compile("/ws$"), lambda socket: _deaf_to(socket, "seat:"))
    showtime_id, seats = await cinema.seats(2)
    await visitor.open_seats(showtime_id)
    await cinema.guest().hold(showtime_id, seats[:1])
    await expect(visitor.seat(seats[0])).to_have_attribute("data-state", "free")
    await page.clock.fast_forward(31_000)
    await expect(page.locator('[data-connection="healed"]')).to_be_visible()
    await expect(visitor.seat(seats[0])).to_have_attribute("data-state", "held")
    await expect(visitor.seat(seats[1])).to_have_attribute("data-state", "free")


async def test_two_browsers_softly_see_each_other_looking(visit, cinema):
    one, other = await visit(), await visit("phone")
    showtime_id, seats = await cinema.seats(2)
    await one.open_seats(showtime_id)
    await other.open_seats(showtime_id)
    await one.seat(seats[0]).hover()
    await expect(other.seat(seats[0])).to_have_attribute("data-looked", "true")
    await expect(one.seat(seats[0])).to_have_attribute("data-looked", "false")
    await expect(other.seat(seats[0])).to_have_attribute("data-state", "free")
    await one.seat(seats[1]).hover()
    await expect(other.seat(seats[1])).to_have_attribute("data-looked", "true")
    await expect(other.seat(seats[0])).to_have_attribute("data-looked", "false")
    await one.page.get_by_role("heading", level=1).hover()
    await expect(other.seat(seats[1])).to_have_attribute("data-looked", "false")


async def test_who_looks_is_seen_looking_again_after_a_cut(visit, cinema):
    one, other = await visit(), await visit()
    sockets: list[WebSocketRoute] = []
    again = asyncio.Event()

    async def through(socket: WebSocketRoute) -> None:
        if sockets:
            await again.wait()
        sockets.append(socket)
        socket.connect_to_server()

    await one.page.route_web_socket(re.compile("/ws$"), through)
    showtime_id, seats = await cinema.seats(1)
    await one.open_seats(showtime_id)
    await other.open_seats(showtime_id)
    await one.seat(seats[0]).hover()
    await expect(other.seat(seats[0])).to_have_attribute("data-looked", "true")
    await sockets[0].close()
    await expect(other.seat(seats[0])).to_have_attribute("data-looked", "false")
    again.set()
    await expect(other.seat(seats[0])).to_have_attribute("data-looked", "true")


async def test_without_a_network_a_choice_is_refused_and_works_again_afterwards(visit, cinema, device):
    visitor = await visit(device)
    page = visitor.page
    showtime_id, seats = await cinema.seats(1)
    await visitor.open_seats(showtime_id)
    await visitor.party(1)
    await page.context.set_offline(True)
    await expect(page.get_by_text("You are offline")).to_be_visible()
    await expect(page.locator('[data-connection="lost"]')).to_be_visible()
    await expect(page.get_by_text("Live", exact=True)).to_have_count(0)
    await visitor.pick(seats[0])
    await expect(page.get_by_role("alert")).to_contain_text("We cannot reach Usher right now.")
    await expect(visitor.seat(seats[0])).to_have_attribute("data-state", "free")
    await page.context.set_offline(False)
    await expect(page.get_by_text("You are offline")).to_have_count(0)
    await visitor.pick(seats[0])
    await expect(visitor.seat(seats[0])).to_have_attribute("data-state", "own")
    await expect(page.get_by_role("alert")).to_have_count(0)


async def test_the_keyboard_alone_holds_a_seat_and_gives_it_up(visit, cinema):
    visitor = await visit()
    page = visitor.page
    showtime_id, _ = await cinema.seats(1)
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


async def test_the_list_says_what_the_map_says(visit, cinema, device):
    visitor = await visit(device)
    page = visitor.page
    showtime_id, seats = await cinema.seats(2)
    await visitor.open_seats(showtime_id)
    await cinema.guest().hold(showtime_id, [seats[1]])
    await expect(visitor.seat(seats[1])).to_have_attribute("data-state", "held")
    await visitor.party(1)
    await visitor.button("List view").click()
    row = page.locator("details").filter(has=page.get_by_role("heading", name=_row_of(seats[0]), exact=True))
    await row.locator("summary").click()
    free, count = re.findall(r"\d+", await row.get_by_text(re.compile("^\\d+ of \\d+ available$")).inner_text())
    assert int(count) == await row.get_by_role("checkbox").count()
    assert int(free) == await row.get_by_role("checkbox", disabled=False).count()
    await page.get_by_role("checkbox", name=_listed(seats[0])).check()
    await expect(page.get_by_role("timer")).to_be_visible()
    await expect(page.get_by_role("checkbox", name=_listed(seats[1]))).to_be_disabled()
    # Another language starts the page again, as a list.
    await page.get_by_label("Language").select_option("de")
    await expect(visitor.button("Saalplan")).to_be_visible()
    await page.get_by_label("Sprache").select_option("en")
    await visitor.button("Map view").click()
    await expect(visitor.seat(seats[0])).to_have_attribute("data-state", "own")


async def test_areas_have_rows_of_their_own_and_a_couch_is_taken_whole(visit, cinema, device):
    visitor = await visit(device)
    page = visitor.page
    showtime_id, _ = await cinema.seats(1, areas=True)
    await visitor.open_seats(showtime_id)
    await expect(page.locator(".area-name")).to_have_text(["Parkett", "Rang"])
    await expect(page.get_by_label("Kind of seats").get_by_role("option").first).to_have_text(
        re.compile("^Standard · ")
    )
    await visitor.party(10)
    best, switch = [await visitor.button(name).bounding_box() for name in ("Best 10 seats", "List view")]
    assert best and switch
    assert abs(best["y"] - switch["y"]) < best["height"] / 2, "the controls take no third line"
    left, right = (
        page.get_by_role("checkbox", name=re.compile(rf"^Rang, row D, seat {number}, .*sold only whole"))
        for number in (3, 4)
    )
    await visitor.party(2)
    await right.dispatch_event("click")
    for half in (left, right):
        await expect(half).to_have_attribute("data-state", "own")
    await left.focus()
    await page.keyboard.press("Space")
    for half in (left, right):
        await expect(half).to_have_attribute("data-state", "free")
    await visitor.party(1)
    await left.focus()
    await page.keyboard.press("Enter")
    await expect(right).to_have_attribute("data-state", "own")
    await expect(page.get_by_text("This couch is sold only whole").first).to_be_visible()

    await visitor.button("List view").click()
    circle = page.locator("section").filter(has=page.get_by_role("heading", name="Rang", exact=True)).last
    row = circle.locator("details").filter(has=page.get_by_role("heading", name="Row D", exact=True))
    await expect(row).to_contain_text("Selected: Rang D3 and D4")
    await row.locator("summary").click()
    await row.get_by_role("checkbox", name=re.compile("^Rang, Row D, Seat 3")).uncheck()
    await expect(row.get_by_role("checkbox", checked=True)).to_have_count(0)
    await row.get_by_role("checkbox", name=re.compile("^Rang, Row D, Seat 6")).check()
    await expect(row).to_contain_text("Selected: Rang D5 and D6")
    await visitor.order("areas@usher.example")
    await expect(page.get_by_text("· Rang D5 and D6")).to_be_visible()


@pytest.mark.parametrize("size", [(390, 844), (360, 640), (844, 390)])
async def test_a_party_of_eight_gets_usual_seats_and_the_map_fills_a_phone(visit, cinema, size):
    width, height = size
    visitor = await visit("phone", viewport={"width": width, "height": height})
    page = visitor.page
    showtime_id, seats = await cinema.seats(1, hall=150)
    await cinema.guest().hold(showtime_id, seats)
    shown = await cinema.guest().call("GET", f"/api/showtimes/{showtime_id}")
    price = min(p["amount"] for p in shown["prices"] if (p["category"], p["ticket_type"]) == ("standard", "adult"))
    await visitor.open_seats(showtime_id)
    await expect(visitor.seat(seats[0])).to_have_attribute("data-state", "held")
    await visitor.party(8)
    kinds = page.get_by_label("Kind of seats")
    await expect(kinds.locator("option:checked")).to_have_text(re.compile(rf"^Standard · \D{price / 100:.2f}"))
    await visitor.button("Best 8 seats").click()
    own = page.locator('[data-seat][data-state="own"]')
    await expect(own).to_have_count(8)
    assert await own.evaluate_all("all => all.map(seat => seat.dataset.category)") == ["standard"] * 8
    await expect(page.get_by_text(re.compile(rf"\D{8 * price / 100:.2f}")).first).to_be_visible()
    assert await page.evaluate("() => document.documentElement.scrollWidth") == width
    for part in (visitor.button("Continue"), page.get_by_role("timer")):
        await expect(part).to_be_in_viewport(ratio=1)

    await visitor.button("Fill the screen with the map").click()
    area = await page.get_by_role("group", name="Seat map").bounding_box()
    assert area
    assert area["width"] * area["height"] > 0.55 * width * height
    for part in (visitor.button("Continue"), page.get_by_role("timer")):
        await expect(part).to_be_in_viewport(ratio=1)
    await visitor.button("Zoom in").click()
    assert await page.evaluate(COVERED) == []
    await visitor.button("Show the whole auditorium").click()
    taken = visitor.seat(seats[0])
    await taken.tap(force=True)  # Playwright waits until a disabled seat is enabled.
    place = re.sub(r"^([A-Z]+)(\d+)$", r"Row \1, seat \2", seats[0])
    await expect(page.get_by_text(place, exact=True).locator("..")).to_contain_text("not available")
    await page.keyboard.press("Escape")
    await expect(visitor.button("Fill the screen with the map")).to_be_visible()
    await expect(own).to_have_count(8)


async def test_a_tap_on_a_small_seat_brings_it_near_and_the_next_one_takes_it(visit, cinema):
    visitor = await visit("phone")
    showtime_id, seats = await cinema.seats(1, hall=200)
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
    await visitor.button("Show the whole auditorium").click()
    await expect(visitor.button("Zoom out")).to_be_disabled()


async def test_wheel_or_pinch_bring_the_seats_near_and_the_minimap_leads_elsewhere(visit, cinema, device):
    visitor = await visit(device)
    page = visitor.page
    showtime_id, _ = await cinema.seats(1, hall=200)
    await visitor.open_seats(showtime_id)
    first = page.locator("[data-seat]").first
    await first.scroll_into_view_if_needed()
    small = await first.bounding_box()
    assert small
    at = {"x": small["x"] + small["width"] / 2, "y": small["y"] + small["height"] / 2}
    if device == "desk":
        await page.mouse.move(**at)
        await page.keyboard.down("Control")
        await page.mouse.wheel(0, -400)
        await page.keyboard.up("Control")
    else:
        await _pinch(page, at)
    await expect(visitor.button("Zoom out")).to_be_enabled()
    await expect(first).to_be_visible()
    large = await first.bounding_box()
    assert large
    assert large["width"] > 1.5 * small["width"]
    assert large["x"] <= at["x"] <= large["x"] + large["width"], "what is under the fingers stays there"
    is_shown = """() => {
      const hall = document.querySelector("svg.seats[role]").getBoundingClientRect();
      const last = [...document.querySelectorAll("[data-seat]")].at(-1).getBoundingClientRect();
      return last.right <= hall.right + 1 && last.bottom <= hall.bottom + 1;
    }"""
    assert not await page.evaluate(is_shown)
    minimap = page.locator("svg:has(> rect)")
    area = await minimap.bounding_box()
    assert area
    await minimap.click(position={"x": area["width"] * 0.9, "y": area["height"] * 0.9})
    await page.wait_for_function(is_shown)


async def test_seats_that_ran_out_are_offered_again_and_the_ticket_types_are_kept(visit_impatient, device):
    visitor = await visit_impatient(device)
    page = visitor.page
    await visitor.hold(2)
    await expect(page.get_by_role("heading", name="Need more time?")).to_be_visible()
    await visitor.button("No, thanks").click()
    await visitor.button("Select the same seats again").click()
    await expect(page.get_by_role("timer")).to_be_visible()
    await visitor.button("Keep my seats").click()
    await visitor.button("Continue").click()
    await page.wait_for_url("**/checkout/*")
    first = page.url
    await page.get_by_label(re.compile("^Ticket for")).first.select_option("child")
    await expect(page.get_by_role("heading", name="Your time has run out")).to_be_visible()
    await visitor.button("Select the same seats again").click()
    await expect(page).not_to_have_url(first)
    await expect(page.get_by_label(re.compile("^Ticket for")).first).to_have_value("child")


async def ready(messages: list[str]) -> list[str]:
    """Return the received messages, for `until`."""
    return messages


def _deaf_to(socket: WebSocketRoute, kind: str) -> None:
    """Forward all messages except those of one kind."""
    server = socket.connect_to_server()
    server.on_message(lambda message: None if f'"type":"{kind}' in str(message) else socket.send(message))


async def _pinch(page: Page, at: Any) -> None:
    """Move two fingers apart around a point."""
    browser = await page.context.new_cdp_session(page)
    for kind, apart in (("touchStart", 20), ("touchMove", 40), ("touchMove", 70), ("touchEnd", 0)):
        fingers = [{"id": side, "x": at["x"] + side * apart / 2, "y": at["y"]} for side in (-1, 1)]
        await browser.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers if apart else []})


def _row_of(seat_id: str) -> str:
    """Return the list's heading of a seat's row."""
    return f"Row {seat_id.rstrip('0123456789')}"


def _listed(seat_id: str) -> re.Pattern[str]:
    """Return the list's name of a seat."""
    row = seat_id.rstrip("0123456789")
    return re.compile(rf"^Row {row}, Seat {seat_id.removeprefix(row)}\b")


async def test_continue_waits_for_the_seats_that_are_being_held(visit, cinema):
    visitor = await visit()
    page = visitor.page
    showtime_id, seats = await cinema.seats(1)
    is_pressed = asyncio.Event()

    async def answer(route: Route) -> None:
        await is_pressed.wait()
        await route.continue_()

    await page.route(re.compile("/holds$"), answer)
    await visitor.open_seats(showtime_id)
    await visitor.party(1)
    await visitor.pick(seats[0])
    await visitor.button("Holding your seats…").click()
    is_pressed.set()
    await page.wait_for_url("**/checkout/*")
