"""Every operation of every service, as every kind of caller: the authorization matrix against a running platform."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import authorization as matrix
import pytest
from authorization import MATRIX, Row
from chassis.clock import now
from cinema import Cinema
from contracts.registry import SERVICES
from customer import Customer, Json
from newcomer import PASSWORD, Newcomer

METHODS = {"get", "put", "post", "delete", "patch"}
Headers = dict[str, str]


class Stage:
    """The callers' headers, and the ids of the objects, all of one theater."""

    def __init__(self, cinema: Cinema, callers: dict[str, Headers], held_secret: str, ids: dict[str, str]) -> None:
        self.cinema, self.callers, self.held_secret, self.ids = cinema, callers, held_secret, ids

    async def answer(self, row: Row, caller: str, *, ids: dict[str, str] | None = None) -> tuple[int, Any]:
        """Send the row's request as this caller. Return the status and the body."""
        known = self.ids if ids is None else ids
        if row.of_missing:
            known = {"kind": "poster"}
        method, path = filled(row.operation, known).split(" ")
        headers = dict(self.callers[caller])
        if caller == matrix.GUEST and path.startswith("/api/holds/"):
            headers["X-Hold-Secret"] = self.held_secret
        answer = await self.cinema.http.request(
            method,
            f"{self.cinema.platform.url}{path}",
            headers=headers,
            params=filled(row.query, known),
            json=filled(row.body, known),
        )
        is_json = "json" in answer.headers.get("content-type", "")
        return answer.status_code, answer.json() if is_json and answer.content else None


def filled(value: Any, ids: dict[str, str]) -> Any:
    """Put the ids into a path, a query or a body. Unknown names become an id that nothing has."""
    match value:
        case str():
            return re.sub(r"{(\w+)}", lambda match: ids.get(match[1], "missing"), value)
        case dict():
            return {name: filled(each, ids) for name, each in value.items()}
        case list():
            return [filled(each, ids) for each in value]
        case _:
            return value


async def invited(cinema: Cinema, admin: Customer, role: str, theater_id: str) -> Headers:
    """Sign in a new member of staff at this theater."""
    person = Newcomer(cinema)
    grant = {"roles": [role], "theaters": [theater_id]}
    await admin.call("POST", "/api/admin/invitations", json={"email": person.email, "name": "Grace", "grant": grant})
    _, token = await person.link("You're invited to join the team on Usher")
    return person.acting(await person.auth("accept-invitation", token=token, password=PASSWORD)).headers


async def objects(guest: Customer, admin: Customer, cinema: Cinema) -> tuple[dict[str, str], Json, Json]:
    """Buy one ticket and hold another seat. Return the ids, and both holds."""
    showtime_id, seats = await cinema.seats(2)
    bought = await guest.buy(showtime_id, seats[:1], "guest@usher.example")
    held = await guest.hold(showtime_id, seats[1:])
    booking = await guest.settled(bought, "confirmed")
    showtime = await guest.call("GET", f"/api/showtimes/{showtime_id}")
    lists = await admin.call("GET", f"/api/theaters/{showtime['theater_id']}/price-lists")
    ids = {name: showtime[name] for name in ("movie_id", "theater_id", "auditorium_id")}
    ids |= {"showtime_id": showtime_id, "booking_id": booking["id"], "reference": booking["reference"]}
    ids |= {"ticket_id": booking["tickets"][0]["ticket_id"], "seat_id": seats[0], "claim": bought["claim"]}
    ids |= {"order": guest.orders[booking["id"]], "hold_id": held["hold_id"]}
    promotion = await admin.call("POST", "/api/promotions", json=filled(matrix.PROMOTION, ids))
    ids |= {"promotion_id": promotion["id"]}
    ids |= {"valid_from": lists["items"][0]["valid_from"], "day": str((now() + timedelta(days=300)).date())}
    return ids | {"version": "1", "kind": "poster"}, bought, held


@pytest.fixture(scope="module")
async def stage(cinema: Cinema) -> AsyncIterator[Stage]:
    guest = cinema.guest()
    admin, customer, chain_staff = await asyncio.gather(*map(cinema.person, ("admin", "customer", "staff")))
    ids, bought, held = await objects(guest, admin, cinema)
    theaters = (ids["theater_id"], "elsewhere")
    roles = ("door_staff", "box_office", "theater_manager")
    staff = [invited(cinema, admin, role, theater) for theater in theaters for role in roles]
    callers: dict[str, Headers] = {
        matrix.NOBODY: {},
        matrix.GUEST: {"X-Hold-Secret": bought["secret"]},
        matrix.CUSTOMER: customer.headers,
        matrix.CHAIN_STAFF: chain_staff.headers,
        matrix.ADMIN: admin.headers,
        **dict(zip((*matrix.STAFF_HERE, *matrix.STAFF_ELSEWHERE), await asyncio.gather(*staff), strict=True)),
    }
    yield Stage(cinema, callers, held["secret"], ids)


async def test_every_operation_has_a_row(cinema: Cinema):
    documented: set[str] = set()
    for service in SERVICES:
        port = cinema.platform.ports[f"{service.upper()}_PORT"]
        document = (await cinema.http.get(f"http://127.0.0.1:{port}/openapi.json")).json()
        for path, operations in document["paths"].items():
            documented |= {f"{method.upper()} {path}" for method in METHODS & operations.keys()}
    assert documented == {row.operation for row in MATRIX}


def is_right(row: Row, caller: str, status: int, body: Any) -> bool:
    """Whether the matrix allows this answer."""
    if expected := row.refusal(caller):
        return status == expected
    if row.finds_nothing:
        return status == 200 and (not body["items"]) == (caller in row.finds_nothing)
    return row.is_allowed(status)


async def test_every_caller_may_do_what_the_matrix_says(stage: Stage):
    wrong: list[str] = []
    for row in MATRIX:
        refused = [caller for caller in matrix.CALLERS if row.refusal(caller)]
        for callers in (refused, [caller for caller in matrix.CALLERS if caller not in refused]):
            answers = await asyncio.gather(*(stage.answer(row, caller) for caller in callers))
            for caller, (status, body) in zip(callers, answers, strict=True):
                if not is_right(row, caller, status, body):
                    wrong.append(
                        f"{row.operation} as {caller}, not {row.refusal(caller) or 'allowed'}: {status} {body}"
                    )
    assert not wrong, "\n".join(wrong)


HIDDEN = [row for row in MATRIX if row.hidden and ("{booking_id}" in row.operation or "{ticket_id}" in row.operation)]


@pytest.mark.parametrize("row", HIDDEN, ids=lambda row: row.operation)
async def test_staff_of_another_theater_cannot_tell_a_booking_from_a_missing_one(stage: Stage, row: Row):
    caller = matrix.STAFF_ELSEWHERE[1]
    foreign, missing = await stage.answer(row, caller), await stage.answer(row, caller, ids={})
    assert foreign[0] == missing[0] == 404
    assert foreign[1] | {"correlation_id": ""} == missing[1] | {"correlation_id": ""}
