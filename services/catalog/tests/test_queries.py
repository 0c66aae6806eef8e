"""Every query of catalog uses an index, and at most a page is sorted in memory.

Looks at all that the service has asked MongoDB in this run, whatever test made it ask. Run alone: the tour below.
"""

from datetime import timedelta

import pytest
from catalog.store import Movie, Showtime
from chassis.clock import now
from chassis.http.paging import encode_cursor

from .queries import stages

PAGE = 101
"""The longest page, and the row that tells whether there is another."""
POSITIONS = {
    "": encode_cursor("b", "b"),
    "&sort=rating": encode_cursor(3.5, "b"),
    "&sort=newest": encode_cursor("2", "b"),
}
FILMS = [
    "", "&genre=drama", "&certificate=PG", "&status=now_showing", "&status=coming_soon", "&status=archived",
    "&city=Berlin", "&city=Berlin&date={day}", "&date={day}", "&daypart=evening", "&format=IMAX", "&language=en",
    "&theater_id=kanal-berlin", "&theater_id=kanal-berlin&date={day}&daypart=night&format=2D&language=en",
    "&near=52.5,13.4", "&q=god", "&q=g", "&q=godfahter", "&q=the%20god&status=now_showing&city=Berlin",
    "&q=xqzwvk%20nothing", "&q=thegod&genre=drama",
]  # fmt: skip
OTHERS = [
    *("/api/genres", "/api/theaters?city=Berlin", "/api/theaters?near=52.5,13.4", "/api/theaters/lantern-london"),
    *(
        "/api/auditoriums/berlin-1",
        "/api/showtimes",
        "/api/showtimes?theater_id=kanal-berlin&from={moment}&to={moment}",
    ),
    "/api/showtimes?movie_id=alien-1979",
    "/api/showtimes?movie_id=alien-1979&theater_id=kanal-berlin",
    "/api/showtimes/{showtime}",
    *("/api/movies/alien-1979", "/api/movies/alien-1979/reviews", "/api/movies/alien-1979/reviews?sort=highest"),
    *(f"/api/movies/alien-1979/showtimes?days=14{asked}" for asked in FILMS[6:15] if "genre" not in asked),
]


@pytest.mark.usefixtures("loaded")
async def test_every_query_is_answered_by_an_index(client, recorder):
    await _tour(client)
    database, faults = Movie.get_pymongo_collection().database, []
    for caller, command in list(recorder.asked.values()):
        plan = await database.command("explain", command, verbosity="executionStats")
        faults += [f"{caller} {fault}: {command}" for stage in stages(plan) if (fault := _fault(stage))]
    assert not faults, "\n".join(faults)
    assert len(recorder.asked) > 60


async def test_lists_read_little_more_than_their_page(client, recorder):
    """The sort index also filters the films, except for a genre in another order and for alternatives."""
    database = Movie.get_pymongo_collection().database
    for caller, command in list(recorder.asked.values()):
        is_list = command.get("find") == "movies" and "hint" in command
        asked = str(command.get("filter"))
        if is_list and "$or" not in asked and (command["hint"] == "by_genre" or "genres" not in asked):
            plan = await database.command("explain", command, verbosity="executionStats")
            stats = plan["executionStats"]
            assert stats["totalDocsExamined"] <= stats["nReturned"] + 1, (caller, command)


async def _tour(client):
    showtime = await Showtime.get_pymongo_collection().find_one({}) or {}
    day, moment = (now() + timedelta(days=1)).date().isoformat(), now().strftime("%Y-%m-%dT%H:%M:%SZ")
    paths = [
        f"/api/movies?limit=2{asked}{sort}{cursor}"
        for asked in FILMS
        for sort, position in POSITIONS.items()
        for cursor in ("", f"&cursor={position}")
    ]
    for path in [*paths, *OTHERS]:
        answer = await client.get(path.format(day=day, moment=moment, showtime=showtime["_id"]))
        assert answer.status_code == 200, (path, answer.text)


def _fault(stage):
    if stage.get("stage") == "COLLSCAN":
        return "looks through a whole collection"
    if "$sort" in stage:
        by = stage["$sort"]
        return None if by.get("limit", PAGE + 1) <= PAGE or stage.get("nReturned", 0) <= PAGE else "sorts everything"
    if stage.get("stage") == "SORT":
        is_page = stage.get("limitAmount", PAGE + 1) <= PAGE
        return None if is_page or stage.get("nReturned", 0) <= PAGE else "sorts more than a page"
    return None
