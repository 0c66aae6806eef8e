"""Theaters, auditoriums and their layouts through the endpoints."""

import asyncio
import json

import pytest
from catalog import store
from catalog.store import layouts
from contracts.catalog import SeatLayoutPublished, ShowtimeScheduled

ADDRESS = {"street": "Ring 1", "postal_code": "10115", "city": "Berlin", "country": "DE"}
THEATER = {
    "name": "Odeon",
    "address": ADDRESS,
    "position": {"latitude": 52.5, "longitude": 13.4},
    "time_zone": "Europe/Berlin",
    "currency": "EUR",
    "language": "de",
    "features": ["bar"],
}
PATTERN = {
    "first_day": "2027-01-01",
    "last_day": "2027-01-02",
    "showings": [{"auditorium_id": "x", "movie_id": "y", "starts": "20:00"}],
}
PRICE_LIST = {"name": "x", "prices": {"standard": {"adult": 100}}, "valid_from": "2026-02-01"}
SHOWTIME = {"auditorium_id": "{room}", "movie_id": "golem-1920", "local_start": "2027-01-02T20:00"}
WRITES = [
    ("POST", "/theaters", THEATER, "catalog:write"),
    ("PATCH", "/theaters/{theater}", {"name": "Lux"}, "theaters:write"),
    ("POST", "/theaters/{theater}/auditoriums", {"name": "Saal 2", "text": "A ss"}, "theaters:write"),
    ("PATCH", "/auditoriums/{room}", {"name": "Saal 3"}, "theaters:write"),
    ("POST", "/auditoriums/{room}/layouts", {"text": "A ss"}, "theaters:write"),
    ("POST", "/auditoriums/{room}/layouts/preview", {"text": "A ss"}, "theaters:write"),
    ("GET", "/auditoriums/{room}/layouts", None, "theaters:write"),
    ("GET", "/auditoriums/{room}/layouts/1", None, "theaters:write"),
    ("GET", "/theaters/{theater}/price-lists", None, "prices:write"),
    ("POST", "/theaters/{theater}/price-lists", PRICE_LIST, "prices:write"),
    ("PUT", "/theaters/{theater}/price-lists/{list}", PRICE_LIST | {"version": 1}, "prices:write"),
    ("DELETE", "/theaters/{theater}/price-lists/{list}", None, "prices:write"),
    ("POST", "/showtimes", SHOWTIME, "showtimes:write"),
    ("PATCH", "/showtimes/{showtime}", {"sales_close_minutes": 5}, "showtimes:write"),
    ("POST", "/showtimes/{showtime}/cancel", {"reason": "other"}, "showtimes:write"),
    ("POST", "/theaters/{theater}/schedules/preview", PATTERN, "showtimes:write"),
    ("POST", "/theaters/{theater}/schedules", {"pattern": PATTERN, "fingerprint": "x"}, "showtimes:write"),
    ("GET", "/theaters/{theater}/schedules/none", None, "showtimes:write"),
]  # fmt: skip


@pytest.mark.parametrize("write", WRITES, ids=[f"{method} {path}" for method, path, *_ in WRITES])
async def test_staff_need_the_permission_and_act_only_in_their_theaters(manager, signer, write):
    method, path, body, permission = write
    lists = (await manager.call("GET", f"/theaters/{manager.theater_id}/price-lists")).json()["items"]
    showtime = await manager.showtime()
    names = {
        "theater": manager.theater_id,
        "room": manager.room["id"],
        "list": lists[0]["id"],
        "showtime": showtime["id"],
    }
    address = "/api" + path.format(**names)
    if body and body.get("auditorium_id") == "{room}":
        body = body | {"auditorium_id": manager.room["id"]}
    everything = ["catalog:write", "theaters:write", "prices:write", "showtimes:write"]

    async def status(headers):
        answer = await manager.client.request(method, address, json=body, headers=headers)
        if answer.status_code >= 400:
            assert answer.headers["content-type"] == "application/problem+json"
        return answer.status_code

    assert await status({}) == 401
    assert await status({"Authorization": "Bearer nonsense"}) == 401
    assert await status(signer.headers("a", [each for each in everything if each != permission])) == 403
    assert await status(signer.headers("b", [permission], theaters=["elsewhere"])) == 403
    if path != "/theaters":
        mine = await status(signer.headers("c", [permission], theaters=["elsewhere", manager.theater_id]))
        assert mine not in {401, 403}
    assert await status(signer.headers("d", [permission])) not in {401, 403}, "limited to no theater: all of them"


async def test_a_theater_is_added_and_changed(client, signer):
    admin = signer.headers("admin-1", ["catalog:write", "theaters:write"])
    made = (await client.post("/api/theaters", json=THEATER, headers=admin)).json()
    assert made == (await client.get(f"/api/theaters/{made['id']}")).json()
    assert {name: made[name] for name in ("name", "time_zone", "currency", "features")} == {
        "name": "Odeon", "time_zone": "Europe/Berlin", "currency": "EUR", "features": ["bar"],
    }  # fmt: skip
    changed = await client.patch(f"/api/theaters/{made['id']}", json={"name": "Lux", "features": []}, headers=admin)
    assert changed.json() == made | {"name": "Lux", "features": []}
    assert (await client.patch("/api/theaters/none", json={}, headers=admin)).status_code == 404


@pytest.mark.parametrize(
    "changes",
    [
        {"time_zone": "Europe/Atlantis"},
        {"time_zone": "../../etc/passwd"},
        {"time_zone": "EST5EDT"},
        {"currency": "ZZZ"},
        {"currency": "BTC"},
        {"language": "en-12"},
        {"currency": "Euro"},
        {"position": {"latitude": 91, "longitude": 0}},
        {"address": ADDRESS | {"country": "Germany"}},
        {"name": " "},
        {"name": "x" * 61},
        {"features": ["x"] * 31},
        {"id": "mine"},
    ],
)
async def test_an_invalid_theater_is_refused(client, signer, changes):
    admin = signer.headers("admin-1", ["catalog:write"])
    answer = await client.post("/api/theaters", json=THEATER | changes, headers=admin)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert answer.json()["errors"]


NAMES = [
    ("PATCH", "/theaters/{theater}", {"name": "Lux{hidden}"}),
    ("PATCH", "/theaters/{theater}", {"address": ADDRESS | {"city": "Ber{hidden}lin"}}),
    ("PATCH", "/theaters/{theater}", {"address": ADDRESS | {"postal_code": "101{hidden}15"}}),
    ("PATCH", "/theaters/{theater}", {"features": ["{hidden}bar"]}),
    ("PATCH", "/auditoriums/{room}", {"name": "Hall{hidden}"}),
    ("POST", "/auditoriums/{room}/layouts/preview", {"text": "[Cir{hidden}cle]\nA  ss"}),
    ("POST", "/theaters/{theater}/price-lists", PRICE_LIST | {"name": "summer{hidden}"}),
    ("POST", "/theaters/{theater}/price-lists", PRICE_LIST | {"surcharges": [{"name": "3{hidden}D", "amount": 1}]}),
]


@pytest.mark.parametrize(("method", "path", "body"), NAMES)
async def test_names_with_invisible_characters_are_refused(manager, method, path, body):
    address = path.format(theater=manager.theater_id, room=manager.room["id"])

    async def status(hidden):
        fields = json.loads(json.dumps(body).replace("{hidden}", hidden))
        return (await manager.call(method, address, fields)).status_code

    assert [await status(hidden) for hidden in ("\\u202e", "\\u200b", "\\u2066")] == [422] * 3
    assert await status("") in {200, 201}


async def test_time_zone_and_currency_cannot_be_changed(manager):
    for change in ({"time_zone": "Europe/London"}, {"currency": "GBP"}):
        assert (await manager.call("PATCH", f"/theaters/{manager.theater_id}", change)).status_code == 422


async def test_an_auditorium_shows_its_seats(manager, bus):
    assert (manager.room["capacity"], manager.room["layout"]["version"]) == (12, 1)
    assert manager.room["categories"] == ["standard", "vip", "wheelchair", "companion"]
    assert manager.room["layout"]["focal_point"] == {"x": 2.0, "y": 2.0}
    event = await bus.wait_for(SeatLayoutPublished, lambda e: e.auditorium_id == manager.room["id"])
    assert [seat.seat_id for seat in event.seats] == [seat["seat_id"] for seat in manager.room["layout"]["seats"]]
    assert event.focal_point is not None


async def test_a_layout_is_sent_as_text_or_as_json(manager):
    path = f"/theaters/{manager.theater_id}/auditoriums"
    drawn = {name: manager.room["layout"][name] for name in ("columns", "rows", "focal_point", "aisles", "seats")}
    again = await manager.call("POST", path, {"name": "Saal 2", "layout": drawn})
    assert again.status_code == 201, again.text
    assert again.json()["layout"] | {"id": "", "text": ""} == manager.room["layout"] | {"id": "", "text": ""}
    for both in ({}, {"text": "A ss", "layout": drawn}):
        assert (await manager.call("POST", path, {"name": "Saal 3"} | both)).status_code == 422


async def test_an_error_in_a_layout_names_its_place(manager):
    for path in ("layouts", "layouts/preview"):
        answer = await manager.call("POST", f"/auditoriums/{manager.room['id']}/{path}", {"text": "A  ss\nB  s?s"})
        assert (answer.status_code, answer.json()["code"]) == (422, "layout_invalid")
        assert (answer.json()["line"], answer.json()["column"], answer.json()["row"]) == (2, 5, "B")
    huge = await manager.call("POST", f"/auditoriums/{manager.room['id']}/layouts", {"text": "#" * 20_001})
    assert huge.status_code == 422
    drawn = {"columns": 1, "rows": 1, "focal_point": {"x": 0.5, "y": 0.5}, "seats": []}
    empty = await manager.call("POST", f"/auditoriums/{manager.room['id']}/layouts", {"layout": drawn})
    assert (empty.status_code, empty.json()["code"]) == (422, "layout_invalid")


async def test_two_auditoriums_of_a_theater_cannot_have_the_same_name(manager):
    path, body = f"/theaters/{manager.theater_id}/auditoriums", {"name": "Saal 2", "text": "A ss"}
    answers = await asyncio.gather(*(manager.call("POST", path, body) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    taken = await manager.call("PATCH", f"/auditoriums/{manager.room['id']}", {"name": "Saal 2"})
    assert (taken.status_code, taken.json()["code"]) == (409, "auditorium_exists")


async def test_a_new_layout_is_for_new_showtimes(manager, bus):
    before = await manager.showtime(manager.evening(7))
    seller = {"legal_name": "Odeon GmbH", "address": "Ring 1, 10115 Berlin", "tax_id": "DE1"}
    theater = await manager.call("PATCH", f"/theaters/{manager.theater_id}", {"seller": seller})
    assert theater.json()["seller"] == seller
    preview = await manager.call(
        "POST", f"/auditoriums/{manager.room['id']}/layouts/preview", {"text": "A  sssss\nD  ss"}
    )
    assert preview.json()["added"] == ["A5", "D1", "D2"]
    assert preview.json()["dropped"] == ["B1", "B2", "B3", "B4", "C1", "C2", "C3", "C4"]
    made = (await manager.call("POST", f"/auditoriums/{manager.room['id']}/layouts", {"text": "A  sssss\n"})).json()
    assert made["version"] == 2
    after = await manager.showtime(manager.evening(8))
    assert (after["layout_id"], before["layout_id"]) == (made["id"], manager.room["layout"]["id"])
    assert (await manager.client.get(f"/api/showtimes/{before['id']}")).json()["layout_id"] == before["layout_id"]
    assert {price["category"] for price in after["prices"]} == {"standard"}
    event = await bus.wait_for(ShowtimeScheduled, lambda e: e.showtime_id == after["id"])
    assert event.layout_id == made["id"]
    assert event.seller and event.seller.model_dump() == seller
    versions = (await manager.call("GET", f"/auditoriums/{manager.room['id']}/layouts")).json()["items"]
    assert [version["version"] for version in versions] == [2, 1]
    first = (await manager.call("GET", f"/auditoriums/{manager.room['id']}/layouts/1")).json()
    assert first == manager.room["layout"]


async def test_a_new_layout_never_removes_sold_seats(manager):
    """Showtimes keep their seats, and the response names them."""
    showtimes = [await manager.showtime(manager.evening(day)) for day in (8, 7, 9)]
    sold, free, cancelled = (showtime["id"] for showtime in showtimes)
    await store.save_occupancy(sold, 1, taken=5, sold=2)
    await manager.call("POST", f"/showtimes/{cancelled}/cancel", {"reason": "other"})
    path, body = f"/auditoriums/{manager.room['id']}/layouts", {"text": "A  ssss\n"}
    preview = (await manager.call("POST", f"{path}/preview", body)).json()
    assert preview["dropped"][0] == "B1"
    made = (await manager.call("POST", path, body)).json()
    assert made["keeping"] == preview["keeping"]
    kept = {each["showtime_id"]: (each["sold"], each["taken"], each["layout_id"]) for each in made["keeping"]}
    assert list(kept.items()) == [
        (free, (0, 0, manager.room["layout"]["id"])), (sold, (2, 5, manager.room["layout"]["id"])),
    ], "sorted by start, without cancelled ones"  # fmt: skip
    again = (await manager.call("POST", f"{path}/preview", body)).json()
    assert [each["showtime_id"] for each in again["keeping"]] == [free, sold], "also when nothing would change"
    assert (await manager.client.get(f"/api/showtimes/{sold}")).json()["layout_id"] == manager.room["layout"]["id"]
    after = await manager.showtime(manager.evening(10))
    assert after["layout_id"] == made["id"]
    assert len((await manager.call("POST", f"{path}/preview", body)).json()["keeping"]) == 2, (
        "new showtimes have the new seats"
    )


async def test_the_same_text_again_is_the_same_version(manager):
    path, body = f"/auditoriums/{manager.room['id']}/layouts", {"text": "# remark\nA  sss\n"}
    first, second = (await manager.call("POST", path, body)).json(), (await manager.call("POST", path, body)).json()
    assert first == second
    assert first["text"] == body["text"], "as it was sent"


async def test_repeating_an_interrupted_publication_completes_it(manager):
    """The process ends between the two writes."""
    layout, text = await store.newest_layout(manager.room["id"]), "A  sss\n"
    seats = [seat for seat in layout.seats if seat.seat_id in {"A1", "A2", "A3"}]
    cut_off = layout.model_copy(update={"id": "cut-off", "number": 2, "text": text, "seats": seats})
    await store.publish_layout(cut_off)
    assert (await manager.client.get(f"/api/auditoriums/{manager.room['id']}")).json()["layout"]["version"] == 1
    again = await manager.call("POST", f"/auditoriums/{manager.room['id']}/layouts", {"text": text})
    assert again.json()["id"] == "cut-off"
    room = (await manager.client.get(f"/api/auditoriums/{manager.room['id']}")).json()
    assert (room["layout"]["version"], room["capacity"], room["categories"]) == (2, 3, ["standard"])


async def test_concurrent_publications_get_different_versions_or_are_refused(manager):
    path = f"/auditoriums/{manager.room['id']}/layouts"
    answers = await asyncio.gather(*(manager.call("POST", path, {"text": f"A {'s' * n}"}) for n in range(1, 9)))
    made = [answer.json()["version"] for answer in answers if answer.status_code == 201]
    assert {answer.json()["code"] for answer in answers if answer.status_code != 201} <= {"changed_meanwhile"}
    assert sorted(made) == list(range(2, 2 + len(made))) != []
    room = (await manager.client.get(f"/api/auditoriums/{manager.room['id']}")).json()
    newest = await store.newest_layout(manager.room["id"])
    assert (room["layout"]["id"], room["layout"]["version"]) == (newest.id, max(made))
    assert room["capacity"] == len(newest.seats)


async def test_a_late_publication_of_an_older_version_does_not_replace_a_newer_one(manager):
    path = f"/auditoriums/{manager.room['id']}/layouts"
    for text in ("A  ss", "A  sss"):
        await manager.call("POST", path, {"text": text})
    older = await store.layout_version(manager.room["id"], 2)
    await layouts.use_version(older, ["standard"])
    room = (await manager.client.get(f"/api/auditoriums/{manager.room['id']}")).json()
    assert (room["layout"]["version"], room["capacity"]) == (3, 3)


async def test_no_showtime_is_scheduled_in_a_closed_auditorium(manager):
    kept = await manager.showtime(manager.evening(7))
    await manager.call("PATCH", f"/auditoriums/{manager.room['id']}", {"closed": True})
    refused = await manager.try_showtime(manager.evening(8))
    assert (refused.status_code, refused.json()["code"]) == (409, "auditorium_closed")
    assert (await manager.client.get(f"/api/showtimes/{kept['id']}")).json()["state"] == "scheduled"
    assert (await manager.client.get(f"/api/theaters/{manager.theater_id}")).json()["auditoriums"][0]["closed"] is True
    await manager.call("PATCH", f"/auditoriums/{manager.room['id']}", {"closed": False})
    await manager.showtime(manager.evening(8))
