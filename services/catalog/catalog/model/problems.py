"""What the catalog cannot do.

Problem (contracts.errors)
└── CatalogProblem
    ├── NotFound             404  there is no such film, theater, auditorium or showtime
    ├── GenreUnknown         422  a film is to have a genre that there is not
    ├── GenreInUse           409  a genre cannot be removed: films have it
    ├── MovieExists          409  there is a film of that id, here or in another catalog, already
    ├── MovieOnSale          409  a film cannot be deleted: seats of showtimes ahead are sold; names them
    ├── PictureInvalid       422  what was uploaded is not a picture that can be shown
    ├── NotAttended          403  a review is for those who have seen the film here
    ├── ReviewExists         409  one person, one film, one review
    ├── ImportInvalid        422  a file of films cannot be read; names the place
    ├── ImportNotSetUp       409  the provider's key is missing
    ├── LayoutInvalid        422  a seat layout's text has a fault; names row and column
    ├── LocalTimeInvalid     422  the clocks skip this local time
    ├── LocalTimeAmbiguous   422  the clocks show this local time twice; names both moments
    ├── SalesTimesInvalid    422  sales would end before they begin, or after the film
    ├── AuditoriumExists     409  the theater has an auditorium of that name
    ├── AuditoriumClosed     409  nothing new is scheduled there
    ├── ShowtimesClash       409  the auditorium is taken; names the showtimes that are in the way
    ├── ShowtimeOver         409  it has begun, or is cancelled: it cannot be moved
    ├── ScheduleFaulty       409  some of a schedule's showtimes cannot be; names them
    ├── ScheduleChanged      409  what would be published is not what was previewed
    ├── PriceListExists      409  the theater has a list that begins on that day
    ├── ChangedMeanwhile     409  somebody else has changed it since it was read
    └── PriceMissing         422  no price list is valid, or a seat category has no price in it
"""

from contracts.errors import Problem


class CatalogProblem(Problem):
    """What the catalog cannot do."""


class NotFound(CatalogProblem):
    code, status, title = "not_found", 404, "There is no such thing in the catalog."


class LayoutInvalid(CatalogProblem):
    code, status, title = "layout_invalid", 422, "The seat layout cannot be read."


class LocalTimeInvalid(CatalogProblem):
    code, status, title = "local_time_invalid", 422, "The clocks skip this local time."


class LocalTimeAmbiguous(CatalogProblem):
    code, status, title = "local_time_ambiguous", 422, "The clocks show this local time twice."


class SalesTimesInvalid(CatalogProblem):
    code, status, title = (
        "sales_times_invalid",
        422,
        "Sales begin before they end, and end with the film at the latest.",
    )


class AuditoriumExists(CatalogProblem):
    code, status, title = "auditorium_exists", 409, "The theater has an auditorium of that name."


class AuditoriumClosed(CatalogProblem):
    code, status, title = "auditorium_closed", 409, "Nothing new is scheduled in this auditorium."


class ShowtimesClash(CatalogProblem):
    code, status, title = "showtimes_clash", 409, "The auditorium is taken at that time."


class ShowtimeOver(CatalogProblem):
    code, status, title = "showtime_over", 409, "This showtime has begun or was cancelled."


class ScheduleFaulty(CatalogProblem):
    code, status, title = (
        "schedule_faulty",
        409,
        "Some of these showtimes cannot be. Leave them out, or plan them anew.",
    )


class ScheduleChanged(CatalogProblem):
    code, status, title = "schedule_changed", 409, "The schedule is not what it was. Please look at it again."


class PriceListExists(CatalogProblem):
    code, status, title = "price_list_exists", 409, "The theater has a price list that begins on that day."


class ChangedMeanwhile(CatalogProblem):
    code, status, title = "changed_meanwhile", 409, "Somebody else has just changed this. Please look at it again."


class PriceMissing(CatalogProblem):
    code, status, title = "price_missing", 422, "A seat category has no price."


class GenreUnknown(CatalogProblem):
    code, status, title = "genre_unknown", 422, "There is no such genre."


class GenreInUse(CatalogProblem):
    code, status, title = "genre_in_use", 409, "The genre cannot be removed: films have it."


class MovieExists(CatalogProblem):
    code, status, title = "movie_exists", 409, "There is such a film already."


class MovieOnSale(CatalogProblem):
    code, status, title = "movie_on_sale", 409, "The film cannot be deleted: seats of showtimes ahead are sold."


class PictureInvalid(CatalogProblem):
    code, status, title = "picture_invalid", 422, "This is not a picture that can be shown."


class NotAttended(CatalogProblem):
    code, status = "not_attended", 403
    title = "A film can be reviewed after a showtime that one had a ticket for."


class ReviewExists(CatalogProblem):
    code, status, title = "review_exists", 409, "You have reviewed this film already."


class ImportInvalid(CatalogProblem):
    code, status, title = "import_invalid", 422, "The file of films cannot be read."


class ImportNotSetUp(CatalogProblem):
    code, status, title = "import_not_set_up", 409, "Films cannot be imported from there: its key is not set."
