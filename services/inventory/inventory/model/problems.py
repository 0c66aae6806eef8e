"""Problems of requests for seats.

Problem (contracts.errors)
└── InventoryProblem
    ├── ShowtimeUnknown     404
    ├── HoldUnknown         404   also for somebody else's hold, so that its existence stays secret
    ├── BlockUnknown        404
    ├── NotWaiting          404   also for somebody else's place on the waitlist
    ├── SalesClosed         409   `reason`: not_open, closed or cancelled
    ├── SeatsTaken          409   `seats`
    ├── SeatsKept           409   `seats`: reserved for companions of wheelchair users
    ├── SingleSeatLeft      409   `seats`: the single seats left, `instead`: seats that would be accepted
    ├── NotEnoughSeats      409   `free`: the number of seats that this party could have
    ├── LimitReached              `unit` (holds or seats) and `limit`; `ends_at`: when there is room again
    │   ├── TooManyHolds    409   of this person or guest
    │   └── NetworkIsFull   429   from this client network
    ├── CheckoutUnpaid      409   `booking_id`; `ends_at`: when it ends at the latest
    ├── HoldInCheckout      409
    ├── OfferFixed          409
    ├── SeatsAvailable      409   `free`: the number of seats that the party can choose now
    ├── AlreadyWaiting      409
    ├── WaitlistFull        409
    ├── NetworkWaits        429   `limit`
    ├── WaitlistClosed      409
    ├── RenewalUsedUp       409
    ├── HoldLapsed          410   `seats`: the seats of the expired hold
    ├── SeatsUnknown        422   `seats`
    ├── CouchDivided        422   `seats`: the missing halves
    ├── SeatCountWrong      422
    ├── NoSuchSeats         422   the auditorium has no seat in the category or area
    ├── TooManyCompanions   422   `limit`
    ├── SecretTooShort      422
    ├── ShowtimeBusy        503
    └── SeatMapMissing      503   catalog's event about the showtime or its layout has not arrived yet
"""

from contracts.errors import Problem

MAX_SEATS = 10
MIN_SECRET = 32


class InventoryProblem(Problem):
    """Base class of all problems of inventory."""


class ShowtimeUnknown(InventoryProblem):
    code, status, title = "showtime_unknown", 404, "There is no such showtime."


class HoldUnknown(InventoryProblem):
    code, status, title = "hold_unknown", 404, "There is no such hold, or it has ended."


class BlockUnknown(InventoryProblem):
    code, status, title = "block_unknown", 404, "There is no such block."


class SalesClosed(InventoryProblem):
    code, status, title = "sales_closed", 409, "This showtime is not on sale."


class SeatsTaken(InventoryProblem):
    code, status, title = "seats_taken", 409, "Some of these seats were just taken."


class SeatsKept(InventoryProblem):
    code, status = "seats_kept", 409
    title = "Companion seats are reserved for people who come with a wheelchair user."


class SingleSeatLeft(InventoryProblem):
    code, status, title = (
        "single_seat_left",
        409,
        "Your choice would leave a single seat free. Please move over by one seat.",
    )


class NotEnoughSeats(InventoryProblem):
    code, status, title = "not_enough_seats", 409, "There are not enough seats left."


class LimitReached(InventoryProblem):
    """Base class of the limits of live holds, over all showtimes."""


class TooManyHolds(LimitReached):
    code, status, title = "too_many_holds", 409, "You already hold as many seats as allowed. Release some first."


class NetworkIsFull(LimitReached):
    code, status = "network_is_full", 429
    title = "Too many seats are held from your network right now. Please try again later."


class CheckoutUnpaid(InventoryProblem):
    code, status = "checkout_unpaid", 409
    title = "You have not paid for your booking of this showtime yet. Pay for it or cancel it first."


class HoldInCheckout(InventoryProblem):
    code, status, title = "hold_in_checkout", 409, "These seats are being paid for. Cancel the booking instead."


class OfferFixed(InventoryProblem):
    code, status = "offer_fixed", 409
    title = "These seats were offered to you from the waitlist. You can give seats up, but not add any."


class SeatsAvailable(InventoryProblem):
    code, status, title = "seats_available", 409, "There are enough free seats. Please choose them now."


class AlreadyWaiting(InventoryProblem):
    code, status = "already_waiting", 409
    title = "This e-mail address is already on the waitlist. Use the link in the e-mail."


class WaitlistFull(InventoryProblem):
    code, status, title = "waitlist_full", 409, "The waitlist of this showtime is full."


class NetworkWaits(InventoryProblem):
    code, status = "network_waits", 429
    title = "As many parties as allowed from your network already wait for this showtime."


class WaitlistClosed(InventoryProblem):
    code, status = "waitlist_closed", 409
    title = "This showtime has no waitlist any more. It closes 30 minutes before the start."


class NotWaiting(InventoryProblem):
    code, status, title = "not_waiting", 404, "You are not on the waitlist of this showtime."


class RenewalUsedUp(InventoryProblem):
    code, status, title = "renewal_used_up", 409, "These seats cannot be held any longer."


class HoldLapsed(InventoryProblem):
    code, status, title = (
        "hold_lapsed",
        410,
        "Your hold on these seats has expired. You can choose them again if they are still free.",
    )


class SeatsUnknown(InventoryProblem):
    code, status, title = "seats_unknown", 422, "This auditorium has no such seats."


class CouchDivided(InventoryProblem):
    code, status, title = "couch_divided", 422, "A couch for two is available only whole. Choose both of its seats."


class SeatCountWrong(InventoryProblem):
    code, status, title = "seat_count_wrong", 422, f"A hold must have 1 to {MAX_SEATS} seats."


class NoSuchSeats(InventoryProblem):
    code, status, title = "no_such_seats", 422, "This auditorium has no such seats."


class TooManyCompanions(InventoryProblem):
    code, status, title = "too_many_companions", 422, "Up to three people can sit beside each wheelchair."


class SecretTooShort(InventoryProblem):
    code, status, title = "secret_too_short", 422, f"A hold's secret must have at least {MIN_SECRET} characters."


class ShowtimeBusy(InventoryProblem):
    code, status, title = "showtime_busy", 503, "Many people want these seats right now. Please try again."


class SeatMapMissing(InventoryProblem):
    code, status, title = (
        "seat_map_missing",
        503,
        "The seat map of this showtime is not available yet. Please try again.",
    )
