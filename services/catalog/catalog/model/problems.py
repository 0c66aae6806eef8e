"""Catalog's domain errors.

Problem (contracts.errors)
└── CatalogProblem
    ├── NotFound             404  unknown film, theater, auditorium or showtime
    ├── GenreUnknown         422  a film has an unknown genre
    ├── GenreInUse           409  films have the genre, so it cannot be removed
    ├── MovieExists          409  a film with this id, here or in another catalog, exists
    ├── MovieOnSale          409  a film with sold seats in future showtimes cannot be deleted; names them
    ├── PictureInvalid       422  the upload is not a supported picture
    ├── NotAttended          403  only people who have seen the film here may review it
    ├── ReviewExists         409  the person has already reviewed the film
    ├── ImportInvalid        422  the file of films is invalid; names the place
    ├── ImportNotSetUp       409  the provider's key is missing
    ├── LayoutInvalid        422  the seat layout's text is invalid; names row and column
    ├── LocalTimeInvalid     422  the clocks skip this local time
    ├── LocalTimeAmbiguous   422  the clocks show this local time twice; names both moments
    ├── SalesTimesInvalid    422  sales would end before they begin, or after the film
    ├── AuditoriumExists     409  the theater has an auditorium with this name
    ├── AuditoriumClosed     409  no showtimes can be added there
    ├── RuntimeUnknown       409  no showtimes can be added for a film without a runtime
    ├── ShowtimesClash       409  the auditorium is taken; names the conflicting showtimes
    ├── ShowtimeOver         409  the showtime has begun or was cancelled
    ├── DryRunRequired       409  so many tickets need a dry run and a second person
    ├── ScheduleFaulty       409  some of a schedule's showtimes are impossible; names them
    ├── ScheduleChanged      409  the schedule differs from its preview
    ├── PriceListExists      409  the theater has a list with this first day
    ├── ChangedMeanwhile     409  it was changed since it was read
    ├── PriceMissing         422  no price list is valid, or it lacks a seat category
    └── PriceNotChargeable   422  the payment provider does not charge such an amount; names the limits
"""

from contracts.errors import Problem


class CatalogProblem(Problem):
    """Catalog's domain errors."""


class NotFound(CatalogProblem):
    code, status, title = "not_found", 404, "This does not exist in the catalog."


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
        "Sales must begin before they end, and end no later than the film.",
    )


class AuditoriumExists(CatalogProblem):
    code, status, title = "auditorium_exists", 409, "The theater already has an auditorium with this name."


class AuditoriumClosed(CatalogProblem):
    code, status, title = "auditorium_closed", 409, "This auditorium is closed for new showtimes."


class RuntimeUnknown(CatalogProblem):
    code, status, title = "runtime_unknown", 409, "The film's runtime is not known yet. Enter it first."


class ShowtimesClash(CatalogProblem):
    code, status, title = "showtimes_clash", 409, "The auditorium is already taken at this time."


class ShowtimeOver(CatalogProblem):
    code, status, title = "showtime_over", 409, "This showtime has begun or was cancelled."


class DryRunRequired(CatalogProblem):
    code, status = "dry_run_required", 409
    title = "Many tickets are sold for this showtime. Make a dry run, and let a second person confirm the change."


class ScheduleFaulty(CatalogProblem):
    code, status, title = (
        "schedule_faulty",
        409,
        "Some of these showtimes are not possible. Leave them out or change them.",
    )


class ScheduleChanged(CatalogProblem):
    code, status, title = "schedule_changed", 409, "The schedule has changed since the preview. Please check it again."


class PriceListExists(CatalogProblem):
    code, status, title = "price_list_exists", 409, "The theater already has a price list that begins on this day."


class ChangedMeanwhile(CatalogProblem):
    code, status, title = "changed_meanwhile", 409, "Somebody else has just changed this. Please check it again."


class PriceMissing(CatalogProblem):
    code, status, title = "price_missing", 422, "A seat category has no price."


class PriceNotChargeable(CatalogProblem):
    code, status, title = "price_not_chargeable", 422, "The payment provider does not charge such a price."


class GenreUnknown(CatalogProblem):
    code, status, title = "genre_unknown", 422, "This genre does not exist."


class GenreInUse(CatalogProblem):
    code, status, title = "genre_in_use", 409, "The genre cannot be removed because films have it."


class MovieExists(CatalogProblem):
    code, status, title = "movie_exists", 409, "This film already exists."


class MovieOnSale(CatalogProblem):
    code, status, title = "movie_on_sale", 409, "The film cannot be deleted because seats of future showtimes are sold."


class PictureInvalid(CatalogProblem):
    code, status, title = "picture_invalid", 422, "This file is not a supported picture."


class NotAttended(CatalogProblem):
    code, status = "not_attended", 403
    title = "You can review a film after a showtime for which you had a ticket."


class ReviewExists(CatalogProblem):
    code, status, title = "review_exists", 409, "You have already reviewed this film."


class ImportInvalid(CatalogProblem):
    code, status, title = "import_invalid", 422, "The file of films is not valid."


class ImportNotSetUp(CatalogProblem):
    code, status, title = "import_not_set_up", 409, "Films cannot be imported from this provider: its key is not set."
