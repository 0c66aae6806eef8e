"""A film is deleted permanently, unless seats for it are sold."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from catalog import store
from catalog.store import Movie, Showtime
from chassis.clock import now
from chassis.ids import new_id
from chassis.testing import until
from contracts.catalog import MovieDeleted, ShowtimeCancelled
from contracts.inventory import SeatMapUpdated


@pytest.fixture
async def manager(manager, movie_id):
    """The manager, with a film that can be deleted."""
    other = f"golem-{new_id()[-6:]}"
    film = await store.live_movie(movie_id)
    await store.publish_movie(film.model_copy(update={"id": other, "title": "Golem 2", "external_ids": {}}))
    yield replace(manager, movie_id=other)
    await Movie.get_pymongo_collection().delete_one({"_id": other})


@pytest.fixture
def staff(signer):
    return signer.headers("editor", ["movies:write"])


async def sell(bus, showtime, *, back=False):
    await bus.publish(SeatMapUpdated(showtime_id=showtime["id"], version=1, sold=["A1", "A2"]))
    if back:
        await bus.publish(SeatMapUpdated(showtime_id=showtime["id"], version=2))

    async def known():
        return (await store.occupancy_of([showtime["id"]])).get(showtime["id"]) == ((0, 0) if back else (2, 2))

    await until(known)


async def test_a_film_with_sold_seats_is_not_deleted_and_the_problem_names_the_showtimes(client, manager, staff, bus):
    evenings = [await manager.showtime(manager.evening(days)) for days in (3, 4)]
    await sell(bus, evenings[1])
    refused = await client.delete(f"/api/movies/{manager.movie_id}", headers=staff)
    assert (refused.status_code, refused.json()["code"]) == (409, "movie_on_sale")
    when = manager.evening(4).replace("T", " ")
    assert refused.json()["detail"] == (
        f"Golem 2 cannot be deleted because seats are sold for {manager.theater['name']}, Saal 1, {when} (2)."
    )
    assert refused.json()["showtimes"] == [{"showtime_id": evenings[1]["id"], "sold": 2}]
    assert (await client.get(f"/api/movies/{manager.movie_id}")).status_code == 200
    await manager.call("POST", f"/showtimes/{evenings[1]['id']}/cancel", {"reason": "technical"})
    assert (await client.delete(f"/api/movies/{manager.movie_id}", headers=staff)).status_code == 204


async def test_deleting_a_film_cancels_its_future_showtimes(client, manager, staff, bus):
    ahead, over = await manager.showtime(manager.evening(3)), await manager.showtime(manager.evening(5))
    await sell(bus, ahead, back=True)
    await sell(bus, over)
    begun = {"starts_at": now() - timedelta(hours=1)}
    await Showtime.get_pymongo_collection().update_one({"_id": over["id"]}, {"$set": begun})
    assert (await client.delete(f"/api/movies/{manager.movie_id}", headers=staff)).status_code == 204
    await bus.wait_for(MovieDeleted, lambda event: event.movie_id == manager.movie_id)
    await bus.wait_for(ShowtimeCancelled, lambda event: event.showtime_id == ahead["id"])
    assert (await client.get(f"/api/showtimes/{over['id']}")).json()["state"] == "scheduled", "it has begun"
    for path in ("", "/showtimes", "/reviews", "/poster.svg"):
        assert (await client.get(f"/api/movies/{manager.movie_id}{path}")).status_code == 404
    assert manager.movie_id not in {each["id"] for each in (await client.get("/api/movies?q=golem")).json()["items"]}
    assert (await client.delete(f"/api/movies/{manager.movie_id}", headers=staff)).status_code == 404
    assert (await manager.try_showtime(manager.evening(6))).status_code == 404, "it can no longer be scheduled"


async def test_a_showtime_that_is_scheduled_during_the_deletion_is_cancelled_too(client, manager, staff, bus):
    first = await manager.showtime(manager.evening(3))
    await client.delete(f"/api/movies/{manager.movie_id}", headers=staff)
    await bus.wait_for(ShowtimeCancelled, lambda event: event.showtime_id == first["id"])
    document = await Showtime.get_pymongo_collection().find_one({"_id": first["id"]}, {"outbox": 0}) or {}
    late = document | {"_id": new_id(), "state": "scheduled", "slots": None}
    await store.schedule(Showtime.model_validate(late))
    await store.cancel_late_showtimes()
    await bus.wait_for(ShowtimeCancelled, lambda event: event.showtime_id == late["_id"])


async def test_of_many_concurrent_deletions_one_succeeds(client, manager, staff, bus):
    answers = await asyncio.gather(*(client.delete(f"/api/movies/{manager.movie_id}", headers=staff) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [204] + [404] * 5
    await bus.wait_for(MovieDeleted, lambda event: event.movie_id == manager.movie_id)
    assert len(bus.events(MovieDeleted, lambda event: event.movie_id == manager.movie_id)) == 1


async def test_deleting_requires_the_permission(client, manager):
    assert (await client.delete(f"/api/movies/{manager.movie_id}")).status_code == 401
    assert (await manager.call("DELETE", f"/movies/{manager.movie_id}")).status_code == 403
    assert (await client.get(f"/api/movies/{manager.movie_id}")).status_code == 200
