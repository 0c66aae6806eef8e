"""Personal data in catalog is erased, even if it arrives late, and exported."""

from catalog import store
from catalog.model.reviews import ReviewText
from catalog.store import Attendance, Review
from chassis.ids import new_id
from chassis.testing import until
from contracts.catalog import CatalogDataExported
from contracts.identity import ExportRequested, UserDeleted

FILM = "alien-1979"


async def person_with_traces() -> str:
    """A person who saw and reviewed a film and reported another review."""
    user_id, other = new_id(), new_id()
    text = ReviewText(stars=4, headline="In space", text="nobody hears you.")
    await store.write_review(FILM, user_id, "Ada L.", text)
    theirs = await store.write_review(FILM, other, "Bob", text)
    await store.report_review(theirs.id, new_id(), "spam", "Somebody else's complaint.")
    await store.report_review(theirs.id, user_id, "spoiler", "The cat lives.")
    await visited(user_id)
    return user_id


async def visited(user_id: str) -> None:
    known = {"user_id": user_id, "movie_id": FILM, "showtime_id": "yesterday"}
    await Attendance.get_pymongo_collection().insert_one({"_id": new_id()} | known)


async def traces(user_id: str) -> int:
    reviews = await Review.find({"$or": [{"user_id": user_id}, {"reports.user_id": user_id}]}).count()
    return reviews + await Attendance.find({"user_id": user_id}).count()


async def exported(bus, user_id: str) -> CatalogDataExported:
    export_id = new_id()
    await bus.publish(ExportRequested(export_id=export_id, user_id=user_id))
    return await bus.wait_for(CatalogDataExported, lambda event: event.export_id == export_id)


async def test_an_export_has_reviews_reports_and_showtimes(client, bus):
    user_id = await person_with_traces()
    told = await exported(bus, user_id)
    review, complaint, visit = told.items
    assert (review["kind"], review["text"], review["byline"]) == ("review", "nobody hears you.", "Ada L.")
    assert (complaint["kind"], complaint["note"]) == ("complaint", "The cat lives.")
    assert (visit["kind"], visit["showtime_id"]) == ("attendance", "yesterday")


async def test_an_export_does_not_name_the_moderator(client, bus):
    user_id = await person_with_traces()
    review = await store.review_of(FILM, user_id)
    assert review
    await store.judge_review(review.id, hidden=True, reason="Spoils it.", by="the-moderator")
    told = await exported(bus, user_id)
    assert told.items[0]["verdict"]["reason"] == "Spoils it."
    assert "the-moderator" not in str(told.items)


async def test_a_person_without_data_gets_an_empty_export(client, bus):
    told = await exported(bus, new_id())
    assert (told.items, told.is_last) == ([], True)


async def test_all_data_is_erased_even_if_it_arrives_late(client, bus):
    user_id = await person_with_traces()
    for _ in range(2):
        await bus.publish(UserDeleted(user_id=user_id))

    async def gone():
        return not await traces(user_id)

    await until(gone)
    await visited(user_id)  # a confirmed booking that was on its way
    await until(gone)
    assert (await exported(bus, user_id)).items == []
