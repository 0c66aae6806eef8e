"""Every endpoint with right, wrong, missing, huge, repeated, late and forbidden input."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from chassis.clock import now
from chassis.ids import new_id
from chassis.security.secrets import hash_secret
from chassis.testing import until
from chassis.testing.bus import Bus
from chassis.testing.signer import Signer
from contracts.types import Holder

from .conftest import OLD_ID, SECRET, NewShowtime, ShowtimeClient, claim_of, scheduled, wait_for_broadcast


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Check the problem document and return it."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert (body["code"], body["status"]) == (code, status)
    return body


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


class TestSeatMap:
    async def test_shows_the_layout_and_what_is_taken(self, showtime: ShowtimeClient):
        await showtime.held("A1", "A2")
        body = (await showtime.client.get(f"/api/showtimes/{showtime.showtime_id}/seats")).json()
        assert body["taken"] == {"A1": "held", "A2": "held"}
        assert len(body["layout"]["seats"]) == 50
        seat = {"seat_id": "E10", "row": "E", "number": 10, "category": "vip", "x": 10.0, "y": 4.0, "area": "Stalls"}
        assert body["layout"]["seats"][-1] == seat
        assert body["layout"]["screen"] == "left"
        assert body["layout"]["focal_point"] == {"x": 5.5, "y": 3.5}
        assert body["layout"]["aisles"] == [{"x": 0.0, "y": 0.0, "width": 1.0, "depth": 5.0}]
        assert abs(moment(body["server_time"]) - now()) < timedelta(seconds=5)
        assert body["cancelled"] is False

    async def test_is_the_same_until_something_changes(self, showtime: ShowtimeClient):
        address = f"/api/showtimes/{showtime.showtime_id}/seats"
        first = await showtime.client.get(address)
        again = await showtime.client.get(address, headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        await showtime.held("A1")
        after = await showtime.client.get(address, headers={"If-None-Match": first.headers["etag"]})
        assert after.status_code == 200
        assert after.json()["version"] > first.json()["version"]

    async def test_never_shows_the_holder(self, showtime: ShowtimeClient, signer: Signer):
        held = await showtime.held("A1", headers=signer.headers("somebody"))
        text = (await showtime.client.get(f"/api/showtimes/{showtime.showtime_id}/seats")).text
        assert "somebody" not in text
        assert held.id not in text

    async def test_of_no_showtime(self, client: httpx.AsyncClient):
        problem(await client.get(f"/api/showtimes/{OLD_ID}/seats"), 404, "showtime_unknown")
        problem(await client.get("/api/showtimes/no such/seats"), 422, "invalid_request")

    async def test_while_the_showtime_is_on_its_way(self, showtime: ShowtimeClient, signer: Signer, bus: Bus):
        """Its id shows that it was created a moment ago, so catalog's event may not have arrived yet."""
        new, staff = ShowtimeClient(showtime.client, new_id()), signer.headers("staff", ["seats:block"])
        for answer in (
            await showtime.client.get(f"/api/showtimes/{new.showtime_id}/seats"),
            await showtime.client.get(f"/api/showtimes/{new.showtime_id}/blocks", headers=staff),
            await new.hold("A1"),
            await new.best(2),
        ):
            problem(answer, 503, "seat_map_missing")
            assert answer.headers["Retry-After"] == "2"
        layout = (await showtime.client.get(f"/api/showtimes/{showtime.showtime_id}/seats")).json()["layout"][
            "layout_id"
        ]
        await bus.publish(scheduled(new.showtime_id, layout))

        async def is_held() -> bool:
            return (await new.hold("A1")).status_code == 201

        await until(is_held)

    async def test_while_the_layout_is_on_its_way(self, client: httpx.AsyncClient, new_showtime: NewShowtime, bus: Bus):
        showtime_id = new_id()
        await bus.publish(scheduled(showtime_id, "a-layout-that-never-comes"))
        await new_showtime()
        body = problem(await client.get(f"/api/showtimes/{showtime_id}/seats"), 503, "seat_map_missing")
        assert body["retry_after"] == 1


class TestHold:
    async def test_a_guest_gets_seats_and_a_secret(self, showtime: ShowtimeClient, bus: Bus):
        answer = await showtime.hold("E2", "A10", "A9")
        body = answer.json()
        assert answer.status_code == 201
        assert [seat["seat_id"] for seat in body["seats"]] == ["A9", "A10", "E2"]
        assert body["seats"][2] == {
            "seat_id": "E2", "row": "E", "number": 2, "category": "vip", "area": "Stalls",
        }  # fmt: skip
        assert moment(body["expires_at"]) - moment(body["server_time"]) > timedelta(seconds=470)
        assert moment(body["renewable_until"]) - moment(body["expires_at"]) == timedelta(seconds=420)
        assert (body["in_checkout"], body["revision"], len(body["secret"])) == (False, 0, 43)
        await wait_for_broadcast(bus, showtime, E2="held", A9="held", A10="held")

    async def test_a_person_holds_by_account(self, showtime: ShowtimeClient, signer: Signer):
        held = await showtime.held("A1", headers=signer.headers("anna"))
        assert held.body["secret"] is None
        assert claim_of(held.body).holder == Holder(user_id="anna")

    async def test_all_or_none_and_the_409_names_the_lost(self, showtime: ShowtimeClient):
        await showtime.held("A2", "A3")
        body = problem(await showtime.hold("A1", "A3", "A2", "A4"), 409, "seats_taken")
        assert body["seats"] == ["A2", "A3"]
        assert await showtime.taken() == {"A2": "held", "A3": "held"}

    async def test_the_same_seats_can_be_held_again_as_soon_as_they_expire(
        self, showtime: ShowtimeClient, short_holds: None
    ):
        await showtime.held("A1")
        await asyncio.sleep(1.01)
        await showtime.held("A1")

    @pytest.mark.parametrize(
        "seats", [[], ["A1", "A1"], ["a1"], ["A1; drop"], ["$where"], [1], "A1", None, [f"A{n}" for n in range(1, 12)]]
    )
    async def test_seats_that_are_no_seats(self, showtime: ShowtimeClient, seats: Any):
        answer = await showtime.client.post(f"/api/showtimes/{showtime.showtime_id}/holds", json={"seats": seats})
        assert problem(answer, 422, "invalid_request")["errors"]

    async def test_more_than_asked_for_is_refused(self, showtime: ShowtimeClient):
        body = {"seats": ["A1"], "holder": "me"}
        problem(
            await showtime.client.post(f"/api/showtimes/{showtime.showtime_id}/holds", json=body),
            422,
            "invalid_request",
        )

    async def test_a_body_that_is_no_json_or_too_large(self, showtime: ShowtimeClient):
        address = f"/api/showtimes/{showtime.showtime_id}/holds"
        problem(await showtime.client.post(address, content=b"{"), 422, "invalid_request")
        problem(await showtime.client.post(address, content=b" " * 1_100_000), 413, "too_large")

    async def test_seats_that_the_auditorium_does_not_have(self, showtime: ShowtimeClient):
        body = problem(await showtime.hold("A1", "Z9", "A11"), 422, "seats_unknown")
        assert body["seats"] == ["A11", "Z9"]

    async def test_no_showtime(self, client: httpx.AsyncClient):
        problem(await ShowtimeClient(client, OLD_ID).hold("A1"), 404, "showtime_unknown")

    async def test_before_and_after_the_sale(self, new_showtime: NewShowtime):
        later = await new_showtime(sales_open_at=now() + timedelta(hours=1))
        assert problem(await later.hold("A1"), 409, "sales_closed")["reason"] == "not_open"
        over = await new_showtime(sales_close_at=now() - timedelta(seconds=1))
        assert problem(await over.hold("A1"), 409, "sales_closed")["reason"] == "closed"

    async def test_a_token_that_is_wrong(self, showtime: ShowtimeClient):
        problem(await showtime.hold("A1", headers={"Authorization": "Bearer nonsense"}), 401, "token_invalid")

    async def test_a_secret_that_can_be_guessed_is_refused(self, showtime: ShowtimeClient):
        problem(await showtime.hold("A4", headers={"X-Hold-Secret": "short"}), 422, "secret_too_short")

    async def test_a_repeated_request_with_a_key_holds_once(self, showtime: ShowtimeClient):
        key = {"Idempotency-Key": new_id()}
        first, second = await showtime.hold("A1", headers=key), await showtime.hold("A1", headers=key)
        assert first.json() == second.json()


class TestOwnHold:
    async def test_is_seen_by_its_holder_only(self, showtime: ShowtimeClient, signer: Signer):
        mine, theirs = await showtime.held("A1"), await showtime.held("A2", headers=signer.headers("anna"))
        seen = (await mine.get()).json()
        assert seen["hold_id"] == mine.id
        assert "secret" not in seen
        assert (await theirs.get()).status_code == 200
        for wrong in ({}, {"X-Hold-Secret": SECRET}, signer.headers("ben"), theirs.headers):
            for method, address, body in (
                ("GET", mine.address, None),
                ("PATCH", mine.address, {"add": ["B1"]}),
                ("POST", f"{mine.address}/renew", None),
                ("DELETE", mine.address, None),
            ):
                problem(await showtime.client.request(method, address, json=body, headers=wrong), 404, "hold_unknown")
        assert await showtime.taken() == {"A1": "held", "A2": "held"}

    async def test_that_never_was(self, client: httpx.AsyncClient):
        problem(await client.get(f"/api/holds/{new_id()}"), 404, "hold_unknown")

    async def test_that_is_over(self, showtime: ShowtimeClient, short_holds: None):
        held = await showtime.held("A1")
        await asyncio.sleep(1.01)
        assert (await held.get()).status_code in {404, 410}
        assert (await held.change(add=["A2"])).status_code in {404, 410}
        assert (await held.renew()).status_code in {404, 410}


class TestClaim:
    """The signed facts about a hold for booking."""

    async def test_says_what_is_held_by_whom_until_when(self, showtime: ShowtimeClient):
        held = await showtime.held("E2", "A10")
        claim = claim_of(held.body)
        assert (claim.hold_id, claim.showtime_id, claim.revision) == (held.id, showtime.showtime_id, 0)
        assert [(seat.seat_id, seat.category) for seat in claim.seats] == [("A10", "standard"), ("E2", "vip")]
        assert claim.holder == Holder(secret_hash=hash_secret(held.body["secret"]))
        assert claim.expires_at == moment(held.body["expires_at"])

    async def test_of_the_best_seats(self, showtime: ShowtimeClient):
        body = (await showtime.best(2)).json()
        claim = claim_of(body)
        assert (claim.hold_id, [seat.model_dump(exclude_none=True) for seat in claim.seats]) == (
            body["hold_id"],
            body["seats"],
        )

    async def test_follows_every_change_of_the_hold(self, showtime: ShowtimeClient):
        held = await showtime.held("A1")
        changed = claim_of((await held.change(add=["A2"], drop=["A1"])).json())
        assert (changed.revision, [seat.seat_id for seat in changed.seats]) == (1, ["A2"])
        body = (await held.renew()).json()
        renewed = claim_of(body)
        assert (renewed.revision, renewed.expires_at) == (2, moment(body["expires_at"]))
        assert renewed.expires_at > changed.expires_at
        assert claim_of((await held.get()).json()) == renewed

    async def test_is_its_holders_alone(self, showtime: ShowtimeClient, signer: Signer):
        mine, theirs = await showtime.held("A1"), await showtime.held("A2", headers=signer.headers("anna"))
        for held, wrong in ((mine, theirs), (theirs, mine)):
            assert claim_of((await held.get()).json()) == claim_of(held.body)
            for headers in ({}, wrong.headers):
                answer = await showtime.client.get(held.address, headers=headers)
                problem(answer, 404, "hold_unknown")
                assert held.body["claim"] not in answer.text

    async def test_of_changes_at_once_names_what_is_held_in_the_end(self, showtime: ShowtimeClient):
        held = await showtime.held("A1")
        answers = await asyncio.gather(*(held.change(add=[f"B{n}"]) for n in range(1, 5)))
        claims = [claim_of(answer.json()) for answer in answers if answer.status_code == 200]
        last = max(claims, key=lambda claim: claim.revision)
        assert len({claim.revision for claim in claims}) == len(claims)
        assert {seat.seat_id for seat in last.seats} == set(await showtime.taken())
        assert claim_of((await held.get()).json()) == last


class TestChange:
    async def test_adds_and_drops_in_one_write(self, showtime: ShowtimeClient, bus: Bus):
        held = await showtime.held("A1", "A2")
        body = (await held.change(add=["A10"], drop=["A1"])).json()
        assert [seat["seat_id"] for seat in body["seats"]] == ["A2", "A10"]
        assert (body["revision"], body["expires_at"]) == (1, held.body["expires_at"])
        assert await showtime.taken() == {"A2": "held", "A10": "held"}
        await wait_for_broadcast(bus, showtime, A1="free", A10="held")
        again = await held.change(add=["A10"], drop=["A1"])
        assert (again.status_code, again.json()["revision"]) == (200, 1)

    async def test_all_or_nothing(self, showtime: ShowtimeClient):
        held = await showtime.held("A1")
        await showtime.held("A3")
        assert problem(await held.change(add=["A2", "A3"], drop=["A1"]), 409, "seats_taken")["seats"] == ["A3"]
        assert await showtime.taken() == {"A1": "held", "A3": "held"}

    async def test_many_changes_at_once_lose_none(self, showtime: ShowtimeClient):
        held = await showtime.held("A1")
        answers = await asyncio.gather(*(held.change(add=[f"B{n}"]) for n in range(1, 6)))
        assert {answer.status_code for answer in answers} <= {200, 503}
        added = sum(answer.status_code == 200 for answer in answers)
        seats = (await held.get()).json()["seats"]
        assert len(seats) == 1 + added == len(await showtime.taken())

    @pytest.mark.parametrize(
        "changes", [{}, {"add": ["A2"], "drop": ["A2"]}, {"add": ["?"]}, {"seats": ["A2"]}, {"add": ["B1"] * 11}]
    )
    async def test_that_makes_no_sense(self, showtime: ShowtimeClient, changes: dict[str, Any]):
        problem(await (await showtime.held("A1")).change(**changes), 422, "invalid_request")

    async def test_to_no_seats_too_many_or_unknown_ones(self, showtime: ShowtimeClient):
        held = await showtime.held("A1")
        problem(await held.change(drop=["A1"]), 422, "seat_count_wrong")
        problem(await held.change(add=[f"B{n}" for n in range(1, 11)]), 422, "seat_count_wrong")
        assert problem(await held.change(add=["Z1"]), 422, "seats_unknown")["seats"] == ["Z1"]


class TestRenewal:
    async def test_once_and_within_the_cap(self, showtime: ShowtimeClient):
        held = await showtime.held("A1")
        renewed = (await held.renew()).json()
        assert moment(renewed["expires_at"]) > moment(held.body["expires_at"])
        assert (renewed["renewable_until"], renewed["revision"]) == (None, 1)
        problem(await held.renew(), 409, "renewal_used_up")

    async def test_keeps_the_seats(self, showtime: ShowtimeClient, short_holds: None, monkeypatch: pytest.MonkeyPatch):
        held = await showtime.held("A1")
        monkeypatch.undo()
        assert (await held.renew()).status_code == 200
        await asyncio.sleep(1.1)
        problem(await showtime.hold("A1"), 409, "seats_taken")


class TestRelease:
    async def test_frees_the_seats_once(self, showtime: ShowtimeClient, bus: Bus):
        held = await showtime.held("A1", "A2")
        assert (await held.release()).status_code == 204
        assert await showtime.taken() == {}
        await wait_for_broadcast(bus, showtime, A1="free", A2="free")
        problem(await held.release(), 404, "hold_unknown")
        await showtime.held("A1")

    async def test_many_times_at_once_releases_it_once(self, showtime: ShowtimeClient):
        held = await showtime.held("A1")
        answers = await asyncio.gather(*(held.release() for _ in range(20)))
        assert sorted(answer.status_code for answer in answers) == [204] + [404] * 19


class TestBlocks:
    async def test_staff_take_seats_out_of_sale_and_put_them_back(
        self, showtime: ShowtimeClient, bus: Bus, signer: Signer
    ):
        staff, address = signer.headers("staff", ["seats:block"]), f"/api/showtimes/{showtime.showtime_id}/blocks"
        answer = await showtime.client.post(address, json={"seats": ["A2", "A1"], "reason": "broken"}, headers=staff)
        assert answer.status_code == 201
        block_id = answer.json()["block_id"]
        assert await showtime.taken() == {"A1": "blocked", "A2": "blocked"}
        await wait_for_broadcast(bus, showtime, A1="blocked", A2="blocked")
        problem(await showtime.hold("A1"), 409, "seats_taken")
        assert (await showtime.client.get(address, headers=staff)).json()["items"] == [answer.json()]
        assert (await showtime.client.delete(f"{address}/{block_id}", headers=staff)).status_code == 204
        await wait_for_broadcast(bus, showtime, A1="free", A2="free")
        problem(await showtime.client.delete(f"{address}/{block_id}", headers=staff), 404, "block_unknown")
        await showtime.held("A1")

    async def test_all_or_none(self, showtime: ShowtimeClient, signer: Signer):
        await showtime.held("A1")
        body = {"seats": ["A1", "A2"], "reason": "broken"}
        address = f"/api/showtimes/{showtime.showtime_id}/blocks"
        answer = await showtime.client.post(address, json=body, headers=signer.headers("staff", ["seats:block"]))
        assert problem(answer, 409, "seats_taken")["seats"] == ["A1"]
        assert await showtime.taken() == {"A1": "held"}

    async def test_only_by_staff_of_the_theater(self, showtime: ShowtimeClient, signer: Signer):
        address, body = f"/api/showtimes/{showtime.showtime_id}/blocks", {"seats": ["A1"], "reason": "broken"}
        elsewhere = signer.headers("staff", ["seats:block"], theaters=["theater-2"])
        for headers, status, code in (
            ({}, 401, "unauthenticated"),
            (signer.headers("anna"), 403, "forbidden"),
            (elsewhere, 403, "forbidden"),
        ):
            problem(await showtime.client.post(address, json=body, headers=headers), status, code)
            problem(await showtime.client.get(address, headers=headers), status, code)
            problem(await showtime.client.delete(f"{address}/b1", headers=headers), status, code)
        here = signer.headers("staff", ["seats:block"], theaters=["theater-1"])
        assert (await showtime.client.post(address, json=body, headers=here)).status_code == 201

    @pytest.mark.parametrize(
        "body, code",
        [
            ({"seats": ["A1"]}, "invalid_request"),
            ({"seats": ["A1"], "reason": "  "}, "invalid_request"),
            ({"seats": ["A1"], "reason": "x" * 201}, "invalid_request"),
            ({"seats": [], "reason": "broken"}, "invalid_request"),
            ({"seats": ["Z1"], "reason": "broken"}, "seats_unknown"),
        ],
    )
    async def test_with_wrong_input(self, showtime: ShowtimeClient, signer: Signer, body: dict[str, Any], code: str):
        address, staff = f"/api/showtimes/{showtime.showtime_id}/blocks", signer.headers("staff", ["seats:block"])
        problem(await showtime.client.post(address, json=body, headers=staff), 422, code)

    async def test_of_no_showtime(self, client: httpx.AsyncClient, signer: Signer):
        address, staff = f"/api/showtimes/{OLD_ID}/blocks", signer.headers("staff", ["seats:block"])
        problem(await client.get(address, headers=staff), 404, "showtime_unknown")
