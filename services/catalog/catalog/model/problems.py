"""What the catalog cannot do.

Problem (contracts.errors)
└── CatalogProblem
    ├── NotFound             404  there is no such film, theater, auditorium or showtime
    ├── LayoutInvalid        422  a seat layout's text has a fault; names row and column
    ├── LocalTimeInvalid     422  the clocks skip this local time
    └── PriceMissing         422  a seat category has no price
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


class PriceMissing(CatalogProblem):
    code, status, title = "price_missing", 422, "A seat category has no price."
