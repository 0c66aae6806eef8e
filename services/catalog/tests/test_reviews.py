"""Who may review what, moderation, and the exact rating of a film despite concurrent changes."""

import asyncio
from collections import Counter
from datetime import timedelta
from itertools import count

import pytest
from catalog import store
from catalog.store import Movie, Review, Showtime, ratings
from catalog.store.movies import Counting, Figures
from catalog.store.ratings import count_in
from chassis.clock import now
from chassis.testing import until
from contracts.booking import BookingAdopted, BookingCancelled, BookingExchanged, BookingRefunded
from contracts.catalog import ReviewChanged
from contracts.identity import UserDeleted
from contracts.inventory import SeatsSold
from contracts.types import Holder

pytestmark = pytest.mark.usefixtures("loaded")
FILM = "alien-1979"
REVIEWS = f"/api/movies/{FILM}/reviews"
TEXT = {"stars": 4, "headline": "In space", "text": "nobody hears you."}
numbers = count(1)


@pytest.fixture(autouse=True)
async def afresh():
    await Review.get_pymongo_collection().delete_many({})
    await store.Attendance.get_pymongo_collection().delete_many({})
    await Movie.get_pymongo_collection().update_many({}, {"$set": {"rating": Figures().model_dump()}})


@pytest.fixture(autouse=True)
async def shown():
    """A showtime of the film that ended yesterday."""
    showtime = await Showtime.get_pymongo_collection().find_one({"movie_id": FILM})
    assert showtime is not None
    over = {"starts_at": now() - timedelta(days=1), "ends_at": now() - timedelta(days=1, hours=-2)}
    await Showtime.get_pymongo_collection().insert_one(showtime | over | {"_id": "yesterday", "slots": None})
    yield "yesterday"
    await Showtime.get_pymongo_collection().delete_one({"_id": "yesterday"})


def sold(booking_id, user_id, showtime_id):
    return SeatsSold(hold_id=booking_id, showtime_id=showtime_id, seats=["F7"], user_id=user_id)


def over(kind, booking_id):
    common = {"booking_id": booking_id, "holder": Holder(user_id="x")}
    fields = {
        BookingCancelled: {"showtime_id": "yesterday", "seats": ["F7"], "reason": "by_customer"},
        BookingExchanged: {"showtime_id": "yesterday", "seats": ["F7"], "replaced_by": "other"},
        BookingRefunded: {"reference": "ABC", "amount": 1, "currency": "EUR"},
    }[kind]
    return kind(**common, **fields)


@pytest.fixture
def guest(client, signer, bus, shown):
    """A person who attended the showtime."""

    async def come(name="Ada King Lovelace"):
        number = next(numbers)
        user_id = f"person-{number}"
        await bus.publish(sold(f"booking-{number}", user_id, shown))
        headers = signer.headers(user_id, name=name)

        async def knows():
            return (await client.get(f"{REVIEWS}/mine", headers=headers)).json()["may_review"]

        await until(knows)
        return headers

    return come


async def rating(client):
    return (await client.get(f"/api/movies/{FILM}")).json()["rating"]


async def rated(client, stars):
    """Check that the film's rating consists of exactly these stars."""
    many = Counter(stars)
    wanted = {
        "average": round(sum(stars) / len(stars), 2) if stars else None,
        "count": len(stars),
        "stars": [many[value] for value in range(1, 6)],
    }

    async def is_so():
        return await rating(client) == wanted

    await until(is_so)


async def test_a_person_who_attended_reviews_the_film_once(client, guest):
    ada = await guest()
    answer = await client.post(REVIEWS, json=TEXT, headers=ada)
    assert answer.status_code == 201
    review = answer.json()
    assert review.items() >= (TEXT | {"byline": "Ada L.", "movie_id": FILM, "edited_at": None, "hidden": False}).items()
    await rated(client, [4])
    again = await client.post(REVIEWS, json=TEXT, headers=ada)
    assert (again.status_code, again.json()["code"]) == (409, "review_exists")
    listed = (await client.get(REVIEWS)).json()["items"]
    assert listed == [{name: value for name, value in review.items() if name != "hidden"}]
    mine = (await client.get(f"{REVIEWS}/mine", headers=ada)).json()
    assert mine == {"review": review, "may_review": True}
    assert (await client.get("/api/reviews/mine", headers=ada)).json()["items"] == [review]
    assert (await client.get("/api/reviews/mine", headers=ada)).headers["cache-control"] == "no-store"


async def test_a_guest_who_signed_in_later_has_attended(client, bus, signer, shown):
    number = next(numbers)
    early, bought = (
        BookingAdopted(booking_id=f"booking-{number}", showtime_id=shown, user_id=user_id, has_tickets=has_tickets)
        for user_id, has_tickets in ((f"early-{number}", False), (f"person-{number}", True))
    )
    await bus.publish(sold(early.booking_id, None, shown))
    for event in (early, bought):
        await bus.publish(event)

    async def may_review(event):
        headers = signer.headers(event.user_id)
        return (await client.get(f"{REVIEWS}/mine", headers=headers)).json()["may_review"]

    await until(lambda: may_review(bought))
    assert not await may_review(early)


async def test_concurrent_reviews_of_one_person_create_one(client, guest):
    ada = await guest()
    answers = await asyncio.gather(*(client.post(REVIEWS, json=TEXT, headers=ada) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7
    await rated(client, [4])


async def test_a_review_requires_a_ticket_for_a_past_showtime(client, signer, bus, shown):
    stranger = signer.headers("stranger")
    refused = await client.post(REVIEWS, json=TEXT, headers=stranger)
    assert (refused.status_code, refused.json()["code"]) == (403, "not_attended")
    ahead = await Showtime.get_pymongo_collection().find_one({"movie_id": FILM, "ends_at": {"$gt": now()}})
    other = await Showtime.get_pymongo_collection().find_one({"movie_id": "amelie-2001"})
    assert ahead and other
    await bus.publish(sold("b-ahead", "stranger", ahead["_id"]))
    await bus.publish(sold("b-other", "stranger", other["_id"]))
    await bus.publish(sold("b-nowhere", "stranger", "no-such-showtime"))
    attendances = store.Attendance.get_pymongo_collection()

    async def both():
        return await attendances.count_documents({"user_id": "stranger"}) == 2

    await until(both)
    assert (await client.post(REVIEWS, json=TEXT, headers=stranger)).status_code == 403
    assert (await client.post(REVIEWS, json=TEXT)).status_code == 401
    assert (await client.post("/api/movies/none/reviews", json=TEXT, headers=stranger)).status_code == 404


ENDS = [BookingCancelled, BookingExchanged, BookingRefunded]


@pytest.mark.parametrize(("kind", "order"), [(kind, order) for kind in ENDS for order in (1, -1)])
async def test_a_cancelled_booking_does_not_allow_a_review(client, signer, bus, kind, order):
    number = next(numbers)
    said = [sold(f"booking-{number}", f"person-{number}", "yesterday"), over(kind, f"booking-{number}")]
    for event in said[::order]:
        await bus.publish(event)
    attendances = store.Attendance.get_pymongo_collection()

    async def both_are_known():
        found = await attendances.find_one({"_id": f"booking-{number}"})
        return found and found.get("over_at") and found.get("user_id")

    await until(both_are_known)
    answer = await client.post(REVIEWS, json=TEXT, headers=signer.headers(f"person-{number}"))
    assert answer.status_code == 403


BAD = [
    ({"stars": 0}, "stars"),
    ({"stars": 6}, "stars"),
    ({"stars": 4.5}, "stars"),
    ({"stars": "many"}, "stars"),
    ({}, "stars"),
    ({"stars": 4, "text": "x" * 5001}, "text"),
    ({"stars": 4, "headline": "\x00"}, "headline"),
    ({"stars": 4, "headline": "Again\u202e"}, "headline"),
    ({"stars": 4, "headline": "x" * 201}, "headline"),
    ({"stars": 4, "headline": ""}, "headline"),
]


@pytest.mark.parametrize(("bad", "place"), BAD)
async def test_an_invalid_review_is_refused(client, guest, bad, place):
    answer = await client.post(REVIEWS, json=bad, headers=await guest())
    assert (answer.status_code, answer.json()["errors"][0]["loc"]) == (422, ["body", place])


async def test_nobody_reviews_before_their_address_is_verified(client, signer):
    unverified = signer.headers("u1", email_verified=False)
    for method, path in (("POST", REVIEWS), ("GET", "/api/reviews/mine"), ("DELETE", "/api/reviews/r1")):
        answer = await client.request(method, path, json=TEXT, headers=unverified)
        assert (answer.status_code, answer.json()["code"]) == (403, "email_unverified")


async def test_only_the_author_edits_and_deletes_a_review(client, guest):
    ada, bob = await guest(), await guest("Bob")
    review = (await client.post(REVIEWS, json=TEXT, headers=ada)).json()
    path = f"/api/reviews/{review['id']}"
    for method in ("PUT", "DELETE"):
        assert (await client.request(method, path, json={"stars": 1}, headers=bob)).status_code == 404
        assert (await client.request(method, path, json={"stars": 1})).status_code == 401
    edited = (await client.put(path, json={"stars": 2}, headers=ada)).json()
    assert (edited["stars"], edited["headline"], edited["text"]) == (2, None, "")
    assert edited["edited_at"]
    await rated(client, [2])
    assert (await client.delete(path, headers=ada)).status_code == 204
    await rated(client, [])
    assert (await client.delete(path, headers=ada)).status_code == 404
    assert (await client.put(path, json=TEXT, headers=ada)).status_code == 404
    assert (await client.get(REVIEWS)).json()["items"] == []
    left = await Review.get_pymongo_collection().find_one({"_id": review["id"]})
    assert left and (left["text"], left["headline"], left["byline"]) == ("", None, "")
    again = await client.post(REVIEWS, json=TEXT | {"stars": 5}, headers=ada)
    assert again.status_code == 201
    await rated(client, [5])


async def test_reviews_are_paged_in_three_sort_orders(client, guest):
    stars = [3, 5, 1, 5, 2]
    for each in stars:
        await client.post(REVIEWS, json={"stars": each}, headers=await guest())
    for sort, expected in {"newest": stars[::-1], "highest": [5, 5, 3, 2, 1], "lowest": [1, 2, 3, 5, 5]}.items():
        items, cursor = [], None
        while True:
            params = {"sort": sort, "limit": 2} | ({"cursor": cursor} if cursor else {})
            page = (await client.get(REVIEWS, params=params)).json()
            items += page["items"]
            if not (cursor := page["next_cursor"]):
                break
        assert [item["stars"] for item in items] == expected
        assert len({item["id"] for item in items}) == len(stars)
    await rated(client, stars)
    assert (await client.get(f"{REVIEWS}?sort=best")).status_code == 422
    assert (await client.get(f"{REVIEWS}?cursor=x")).status_code == 422


async def test_moderators_see_reports_and_hide_and_show_reviews(client, guest, signer):
    ada, bob, eve = await guest(), await guest(), signer.headers("eve")
    moderator = signer.headers("mod", ["reviews:moderate"])
    review = (await client.post(REVIEWS, json=TEXT, headers=ada)).json()
    path = f"/api/reviews/{review['id']}"
    await client.post(REVIEWS, json={"stars": 1}, headers=bob)
    for reporter in (bob, eve, eve):
        complaint = {"complaint": "spoiler", "note": "The cat lives."}
        assert (await client.post(f"{path}/reports", json=complaint, headers=reporter)).status_code == 204
    assert (await client.post(f"{path}/reports", json={"complaint": "boring"}, headers=eve)).status_code == 422
    assert (await client.post(f"{path}/reports", json={"complaint": "spam"})).status_code == 401
    assert (await client.post("/api/reviews/none/reports", json={"complaint": "spam"}, headers=eve)).status_code == 404
    for person in (ada, eve):
        assert (await client.get("/api/reviews", headers=person)).status_code == 403
        assert (
            await client.put(f"{path}/verdict", json={"hidden": True, "reason": "x"}, headers=person)
        ).status_code == 403
    (reported,) = (await client.get("/api/reviews", headers=moderator)).json()["items"]
    assert (reported["id"], reported["open_reports"]) == (review["id"], 2), "one report per person"
    assert reported["reports"][0].items() >= {"complaint": "spoiler", "note": "The cat lives."}.items()
    judged = await client.put(f"{path}/verdict", json={"hidden": True, "reason": "Spoils it."}, headers=moderator)
    assert judged.json()["verdict"].items() >= {"hidden": True, "reason": "Spoils it.", "by": "mod"}.items()
    await rated(client, [1])
    assert [each["stars"] for each in (await client.get(REVIEWS)).json()["items"]] == [1]
    assert (await client.get("/api/reviews", headers=moderator)).json()["items"] == []
    assert (await client.get(f"{REVIEWS}/mine", headers=ada)).json()["review"]["hidden"]
    await client.put(path, json={"stars": 3}, headers=ada)
    await client.delete(path, headers=ada)
    rewritten = await client.post(REVIEWS, json=TEXT, headers=ada)
    assert rewritten.json()["hidden"], "writing it again does not bypass a moderator"
    await client.put(f"{path}/verdict", json={"hidden": False, "reason": "Mended."}, headers=moderator)
    await rated(client, [1, 4])
    assert (await client.put(f"{path}/verdict", json={"hidden": True}, headers=moderator)).status_code == 422


async def test_a_deleted_person_is_erased_from_reviews(client, guest, bus):
    ada, bob = await guest(), await guest()
    await client.post(REVIEWS, json=TEXT, headers=ada)
    bobs = (await client.post(REVIEWS, json={"stars": 2}, headers=bob)).json()
    await client.post(f"/api/reviews/{bobs['id']}/reports", json={"complaint": "spam"}, headers=ada)
    person = (await Review.get_pymongo_collection().find_one({"stars": 4}) or {})["user_id"]
    for _ in range(2):
        await bus.publish(UserDeleted(user_id=person))
    await rated(client, [2])

    async def no_trace():
        left = [
            await Review.get_pymongo_collection().find_one({"$or": [{"user_id": person}, {"reports.user_id": person}]}),
            await store.Attendance.get_pymongo_collection().find_one({"user_id": person}),
        ]
        return not any(left)

    await until(no_trace)


async def naive_count(review_id):
    """Counting without its guards: read, add, write."""
    review = await Review.get_pymongo_collection().find_one({"_id": review_id})
    movie = await Movie.get_pymongo_collection().find_one({"_id": FILM})
    assert review and movie
    figures = Figures.model_validate(movie["rating"])
    after = figures.after(review["counted"]["stars"], review["stars"] if review["shown"] else None)
    await asyncio.sleep(0)
    await Movie.get_pymongo_collection().update_one(
        {"_id": FILM}, {"$set": {"rating": Figures(**after.model_dump()).model_dump()}}
    )


async def entered(stars, relayed=True):
    ids = []
    for each in stars:
        review = Review(movie_id=FILM, user_id=f"someone-{next(numbers)}", byline="S.", written_at=now(), stars=each)
        await Review.get_pymongo_collection().insert_one(review.model_dump(by_alias=True) | {"_id": review.id})
        ids.append(review.id)
    return ids


async def test_concurrent_counting_is_wrong_without_the_guards_and_right_with_them(client):
    stars = [1 + number % 5 for number in range(20)]
    ids = await entered(stars)
    await asyncio.gather(*(naive_count(each) for each in ids))
    assert (await rating(client))["count"] < len(stars), "the race exists"
    await Movie.get_pymongo_collection().update_one({"_id": FILM}, {"$set": {"rating": Figures().model_dump()}})
    await asyncio.gather(*(count_in(each, FILM) for each in ids * 2))
    await rated(client, stars)
    assert await Review.get_pymongo_collection().count_documents({"counted.stars": None}) == 0


async def test_the_rating_is_exact_while_people_write_edit_and_delete_at_once(client, guest):
    people = [await guest() for _ in range(12)]

    async def live(person, number):
        review = (await client.post(REVIEWS, json={"stars": 1 + number % 5}, headers=person)).json()
        for turn in range(4):
            await client.put(f"/api/reviews/{review['id']}", json={"stars": 1 + (number + turn) % 5}, headers=person)
        if number % 3 == 0:
            await client.delete(f"/api/reviews/{review['id']}", headers=person)

    await asyncio.gather(*(live(person, number) for number, person in enumerate(people)))
    await rated(client, [1 + (number + 3) % 5 for number in range(12) if number % 3])


async def test_a_crash_between_the_writes_neither_loses_nor_counts_twice(client, bus):
    first, second = await entered([5, 2])
    # The film has counted the first review, and then the process died.
    crashed = Figures(**Figures().after(None, 5).model_dump(), revision=1, counting=Counting(review_id=first, stars=5))
    await Movie.get_pymongo_collection().update_one({"_id": FILM}, {"$set": {"rating": crashed.model_dump()}})
    for _ in range(2):
        await bus.publish(ReviewChanged(review_id=second, movie_id=FILM))
        await bus.publish(ReviewChanged(review_id=first, movie_id=FILM))
    await rated(client, [5, 2])

    async def nothing_is_left_to_do():
        return await Movie.get_pymongo_collection().find_one({"_id": FILM, "rating.counting": None})

    await until(nothing_is_left_to_do)


async def test_a_late_write_after_an_old_read_counts_nothing_twice(client, monkeypatch):
    """A process is suspended between its reads and its write while another one counts the same review."""
    (review_id,) = await entered([3])
    movies = ratings.movies
    stale = await movies.row({"_id": FILM}, ["rating"])
    await count_in(review_id, FILM)
    await rated(client, [3])
    reads = iter([stale])

    class Standing:
        """The film's collection as seen by a process whose first read was before these changes."""

        def __getattr__(self, name):
            return getattr(movies, name)

        async def row(self, *args):
            return next(reads, None) or await movies.row(*args)

    await Review.get_pymongo_collection().update_one({"_id": review_id}, {"$set": {"stars": 4}})
    monkeypatch.setattr(ratings, "movies", Standing())
    await count_in(review_id, FILM)
    monkeypatch.undo()
    await rated(client, [4])


async def test_events_about_unknown_reviews_change_nothing(client, bus):
    await bus.publish(ReviewChanged(review_id="none", movie_id=FILM))
    await bus.publish_raw(ReviewChanged.type, b"{")
    (letter,) = await bus.dead("catalog")
    assert letter.reason.startswith("malformed")
    assert (await rating(client))["count"] == 0
