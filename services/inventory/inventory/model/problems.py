"""What can be wrong with a request for seats.

Problem (contracts.errors)
└── InventoryProblem
    ├── ShowtimeUnknown     404
    ├── HoldUnknown         404   also somebody else's: whether it exists is not told
    ├── BlockUnknown        404
    ├── SalesClosed         409   `reason`: not_open, closed or cancelled
    ├── SeatsTaken          409   `seats`
    ├── SeatsKept           409   `seats`: for those who come with somebody in a wheelchair
    ├── SingleSeatLeft      409   `seats` that would be left alone, `instead`: seats that would do
    ├── NotEnoughSeats      409   `free`: how many this party could have
    ├── TooManyHolds        409   `limit`
    ├── HoldInCheckout      409
    ├── RenewalUsedUp       409
    ├── HoldLapsed          410   `seats`, to ask for again
    ├── SeatsUnknown        422   `seats`
    ├── SeatCountWrong      422
    ├── NoSuchSeats         422   no seat of this auditorium has the category, or is in the area
    ├── TooManyCompanions   422   `limit`
    ├── SecretTooShort      422
    ├── ShowtimeBusy        503
    └── SeatMapMissing      503   catalog's event about the showtime or its layout is on its way
"""

from contracts.errors import Problem

MAX_SEATS = 10
MIN_SECRET = 32


class InventoryProblem(Problem):
    """Everything that can be wrong with a request for seats."""


class ShowtimeUnknown(InventoryProblem):
    code, status, title = "showtime_unknown", 404, "There is no such showtime."


class HoldUnknown(InventoryProblem):
    code, status, title = "hold_unknown", 404, "There is no such hold, or it is over."


class BlockUnknown(InventoryProblem):
    code, status, title = "block_unknown", 404, "There is no such block."


class SalesClosed(InventoryProblem):
    code, status, title = "sales_closed", 409, "This showtime is not on sale."


class SeatsTaken(InventoryProblem):
    code, status, title = "seats_taken", 409, "Some of these seats were just taken."


class SeatsKept(InventoryProblem):
    code, status = "seats_kept", 409
    title = "Seats beside a place for a wheelchair are kept for those who come with somebody who needs it."


class SingleSeatLeft(InventoryProblem):
    code, status, title = "single_seat_left", 409, "A single seat would be left alone. Please move one further."


class NotEnoughSeats(InventoryProblem):
    code, status, title = "not_enough_seats", 409, "There are not so many seats left."


class TooManyHolds(InventoryProblem):
    code, status, title = "too_many_holds", 409, "You already hold seats for this showtime. Release some first."


class HoldInCheckout(InventoryProblem):
    code, status, title = "hold_in_checkout", 409, "These seats are being paid for. Cancel the booking instead."


class RenewalUsedUp(InventoryProblem):
    code, status, title = "renewal_used_up", 409, "These seats cannot be kept any longer."


class HoldLapsed(InventoryProblem):
    code, status, title = (
        "hold_lapsed",
        410,
        "The time for these seats is over. You can choose them again if still free.",
    )


class SeatsUnknown(InventoryProblem):
    code, status, title = "seats_unknown", 422, "This auditorium has no such seats."


class SeatCountWrong(InventoryProblem):
    code, status, title = "seat_count_wrong", 422, f"A hold has 1 to {MAX_SEATS} seats."


class NoSuchSeats(InventoryProblem):
    code, status, title = "no_such_seats", 422, "This auditorium has no such seats."


class TooManyCompanions(InventoryProblem):
    code, status, title = "too_many_companions", 422, "Up to three people can sit beside each wheelchair."


class SecretTooShort(InventoryProblem):
    code, status, title = "secret_too_short", 422, f"A hold's secret has at least {MIN_SECRET} characters."


class ShowtimeBusy(InventoryProblem):
    code, status, title = "showtime_busy", 503, "Very many people want these seats. Please try again."


class SeatMapMissing(InventoryProblem):
    code, status, title = "seat_map_missing", 503, "The seat map of this showtime is on its way. Please try again."
