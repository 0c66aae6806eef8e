"""The authorization matrix: who may use which operation, as data.

`here` is the theater of the objects that the requests name; staff `elsewhere` are limited to another theater. The guest
owns the hold, the booking, its ticket and its payment. The requests do no harm where they are allowed: other objects do
not exist, or the body is refused.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

NOBODY, GUEST, CUSTOMER, ADMIN = "nobody", "guest", "customer", "admin"
STAFF_HERE = DOOR_HERE, BOX_OFFICE_HERE, MANAGER_HERE = "door here", "box office here", "manager here"
STAFF_ELSEWHERE = "door elsewhere", "box office elsewhere", "manager elsewhere"
CHAIN_STAFF = "box office and door of all theaters"
CALLERS = (NOBODY, GUEST, CUSTOMER, *STAFF_HERE, *STAFF_ELSEWHERE, CHAIN_STAFF, ADMIN)

ALL = frozenset(CALLERS)
SIGNED_IN = ALL - {NOBODY, GUEST}
READERS = frozenset({*STAFF_HERE, CHAIN_STAFF, ADMIN})
"""Staff with `bookings:read` here."""
DESK = READERS - {DOOR_HERE}
"""Staff with `bookings:write` and `seats:block` here."""
MANAGERS = frozenset({MANAGER_HERE, ADMIN})
"""Staff with `theaters:write`, `prices:write` and `showtimes:write` here."""
ADMINS = frozenset({ADMIN})
OWNER = frozenset({GUEST})
NO_WALLETS = frozenset[str]()


@dataclass(frozen=True)
class Row:
    """One request and who may send it. `{name}` in path, query and body stands for the id of an existing object, unless
    there is none or the request is about missing objects (`of_missing`).

    All other callers are refused: with 401 if they have not signed in, otherwise with 403. If the object is `hidden`,
    callers who have signed in get the same 404 as for a missing one, except `sees`. With `hides_from_nobody`, so do
    callers who have not. `finds_nothing` are the callers for whom the list is empty.
    """

    operation: str
    allowed: frozenset[str]
    body: Any = None
    query: Mapping[str, str] = field(default_factory=dict[str, str])
    hidden: bool = False
    hides_from_nobody: bool = False
    sees: frozenset[str] = frozenset()
    of_missing: bool = False
    finds_nothing: frozenset[str] = frozenset()

    def refusal(self, caller: str) -> int | None:
        """The status with which the caller is refused; None if the caller is allowed."""
        if caller in self.allowed:
            return None
        if self.hidden and caller not in self.sees and (caller != NOBODY or self.hides_from_nobody):
            return 404
        return 403 if caller in SIGNED_IN else 401

    def is_allowed(self, status: int) -> bool:
        """Whether the status can be that of an allowed request."""
        return status < 500 and status not in {401, 403, *([404] if self.hidden else [])}


def rows(allowed: frozenset[str], operations: Iterable[str], body: Any = None) -> list[Row]:
    """Rows with the same callers."""
    return [Row(operation, allowed, body) for operation in operations]


TICKETS = [{"seat_id": "{seat_id}", "ticket_type": "adult"}]
CHECKOUT = {"claim": "{claim}", "tickets": TICKETS, "email": "guest@usher.example"}
SHOWTIME = {"auditorium_id": "{auditorium_id}", "movie_id": "{movie_id}", "local_start": "2020-01-01T20:00"}
PATTERN = {
    "first_day": "{day}",
    "last_day": "{day}",
    "showings": [{"auditorium_id": "{auditorium_id}", "movie_id": "{movie_id}", "starts": "20:15"}],
}
PRICE_LIST = {"name": "refused", "prices": {"standard": {"adult": 1}}, "valid_from": "{valid_from}"}
LAYOUT = {"text": "no seats"}
PROMOTION = {
    "name": "Test",
    "discount": {"kind": "percentage", "percent": 1},
    "code": "MATRIX",
    "conditions": {"theater_ids": ["{theater_id}"]},
}

IDENTITY = [
    *rows(
        ALL,
        (
            "GET /.well-known/jwks.json",
            "POST /api/auth/accept-invitation",
            "POST /api/auth/forgot-password",
            "POST /api/auth/login",
            "POST /api/auth/passkeys/login",
            "POST /api/auth/passkeys/login/options",
            "POST /api/auth/register",
            "POST /api/auth/reset-password",
            "POST /api/auth/verify-email",
        ),
        {},
    ),
    *rows(ALL, ("POST /api/auth/refresh", "POST /api/auth/logout"), {"refresh_token": 1}),
    *rows(
        SIGNED_IN,
        (
            "GET /api/auth/mfa",
            "POST /api/auth/mfa/keep",
            "POST /api/auth/mfa/recovery-codes",
            "POST /api/auth/mfa/totp",
            "POST /api/auth/mfa/totp/confirm",
            "POST /api/auth/mfa/totp/remove",
            "GET /api/auth/passkeys",
            "POST /api/auth/passkeys",
            "POST /api/auth/passkeys/options",
            "DELETE /api/auth/passkeys/{passkey_id}",
            "GET /api/auth/sessions",
            "DELETE /api/auth/sessions/{session_id}",
            "POST /api/auth/verify-email/resend",
            "GET /api/users/me",
            "PATCH /api/users/me",
            "POST /api/users/me/delete",
            "POST /api/users/me/email",
            "GET /api/users/me/export",
            "POST /api/users/me/export",
            "GET /api/users/me/export/data",
            "PUT /api/users/me/password",
        ),
        {},
    ),
    Row("DELETE /api/auth/sessions", SIGNED_IN, query={"keep_current": "perhaps"}),
    *rows(
        ADMINS,
        (
            "GET /api/admin/audit",
            "GET /api/admin/invitations",
            "POST /api/admin/invitations",
            "DELETE /api/admin/invitations/{user_id}",
            "POST /api/admin/invitations/{user_id}/renew",
            "GET /api/admin/roles",
            "GET /api/admin/users",
            "GET /api/admin/users/{user_id}",
            "DELETE /api/admin/users/{user_id}",
            "POST /api/admin/users/{user_id}/deactivate",
            "POST /api/admin/users/{user_id}/reactivate",
            "POST /api/admin/users/{user_id}/reset-second-factor",
            "PUT /api/admin/users/{user_id}/roles",
            "GET /api/admin/users/{user_id}/sessions",
            "DELETE /api/admin/users/{user_id}/sessions",
        ),
        {},
    ),
]

CATALOG = [
    *rows(
        ALL,
        (
            "GET /api/auditoriums/{auditorium_id}",
            "GET /api/genres",
            "GET /api/movies",
            "GET /api/movies/pictures/{picture_id}.webp",
            "GET /api/movies/{movie_id}",
            "GET /api/movies/{movie_id}/backdrop.svg",
            "GET /api/movies/{movie_id}/poster.svg",
            "GET /api/movies/{movie_id}/reviews",
            "GET /api/movies/{movie_id}/showtimes",
            "GET /api/showtimes",
            "GET /api/showtimes/{showtime_id}",
            "GET /api/theaters",
            "GET /api/theaters/{theater_id}",
            "GET /api/theaters/{theater_id}/prices",
        ),
    ),
    *rows(
        SIGNED_IN,
        (
            "GET /api/movies/{movie_id}/reviews/mine",
            "POST /api/movies/{movie_id}/reviews",
            "GET /api/reviews/mine",
            "PUT /api/reviews/{review_id}",
            "DELETE /api/reviews/{review_id}",
            "POST /api/reviews/{review_id}/reports",
        ),
        {},
    ),
    *rows(
        ADMINS,
        (
            "PUT /api/genres/{code}",
            "DELETE /api/genres/{code}",
            "GET /api/imports",
            "POST /api/imports/files",
            "POST /api/imports/tmdb",
            "GET /api/imports/{import_id}",
            "GET /api/imports/{import_id}/items",
            "POST /api/movies",
            "GET /api/reviews",
            "PUT /api/reviews/{review_id}/verdict",
            "POST /api/theaters",
        ),
        {},
    ),
    *(
        Row(operation, ADMINS, {}, of_missing=True)
        for operation in (
            "PATCH /api/movies/{movie_id}",
            "DELETE /api/movies/{movie_id}",
            "PUT /api/movies/{movie_id}/{kind}",
            "DELETE /api/movies/{movie_id}/{kind}",
        )
    ),
    *rows(MANAGERS, ("PATCH /api/auditoriums/{auditorium_id}", "PATCH /api/theaters/{theater_id}"), {}),
    *rows(
        MANAGERS,
        ("POST /api/auditoriums/{auditorium_id}/layouts", "POST /api/auditoriums/{auditorium_id}/layouts/preview"),
        LAYOUT,
    ),
    *rows(
        MANAGERS,
        (
            "GET /api/auditoriums/{auditorium_id}/layouts",
            "GET /api/auditoriums/{auditorium_id}/layouts/{version}",
            "GET /api/theaters/{theater_id}/price-lists",
            "DELETE /api/theaters/{theater_id}/price-lists/{price_list_id}",
            "GET /api/theaters/{theater_id}/schedules/{schedule_id}",
        ),
    ),
    Row("POST /api/theaters/{theater_id}/auditoriums", MANAGERS, LAYOUT | {"name": "refused"}),
    Row("POST /api/theaters/{theater_id}/price-lists", MANAGERS, PRICE_LIST),
    Row("PUT /api/theaters/{theater_id}/price-lists/{price_list_id}", MANAGERS, PRICE_LIST | {"version": 1}),
    Row("POST /api/theaters/{theater_id}/schedules/preview", MANAGERS, PATTERN),
    Row("POST /api/theaters/{theater_id}/schedules", MANAGERS, {"pattern": PATTERN, "fingerprint": "another"}),
    Row("POST /api/showtimes", MANAGERS, SHOWTIME),
    Row("PATCH /api/showtimes/{showtime_id}", MANAGERS, {}),
]

INVENTORY = [
    Row("GET /api/showtimes/{showtime_id}/seats", ALL),
    Row("POST /api/showtimes/{showtime_id}/holds", ALL, {"seats": ["ZZ999"]}),
    Row("POST /api/showtimes/{showtime_id}/holds/best", ALL, {}),
    Row("GET /api/holds/{hold_id}", OWNER, hidden=True, hides_from_nobody=True),
    Row("PATCH /api/holds/{hold_id}", OWNER, {"drop": ["ZZ999"]}, hidden=True, hides_from_nobody=True),
    Row("POST /api/holds/{hold_id}/renew", OWNER, hidden=True, hides_from_nobody=True),
    Row("DELETE /api/holds/{hold_id}", OWNER, hidden=True, hides_from_nobody=True),
    Row("POST /api/holds/{hold_id}/adopt", frozenset(), hidden=True, sees=OWNER),
    Row("GET /api/showtimes/{showtime_id}/blocks", DESK),
    Row("POST /api/showtimes/{showtime_id}/blocks", DESK, {"seats": ["ZZ999"], "reason": "broken"}),
    Row("DELETE /api/showtimes/{showtime_id}/blocks/{block_id}", DESK),
    Row("POST /api/showtimes/{showtime_id}/waitlist", ALL, {}),
    Row("GET /api/showtimes/{showtime_id}/waitlist", ALL),
    Row("DELETE /api/showtimes/{showtime_id}/waitlist", ALL),
    Row("GET /api/showtimes/{showtime_id}/waitlist/entries", DESK),
]

BOOKING = [
    Row("POST /api/bookings", OWNER, CHECKOUT, hidden=True),
    Row("POST /api/bookings/quote", OWNER, {"claim": "{claim}"}, hidden=True),
    Row("POST /api/bookings/lookup", ALL, {}),
    Row("GET /api/bookings", SIGNED_IN),
    *(
        Row(
            "GET /api/bookings",
            READERS | {*STAFF_ELSEWHERE},
            query=query,
            finds_nothing=frozenset(STAFF_ELSEWHERE),
        )
        for query in ({"showtime_id": "{showtime_id}"}, {"reference": "{reference}"})
    ),
    Row(
        "GET /api/bookings/disputes",
        MANAGERS | {STAFF_ELSEWHERE[2]},
        finds_nothing=MANAGERS | {STAFF_ELSEWHERE[2]},
    ),
    Row(
        "GET /api/bookings/refunds",
        MANAGERS | {STAFF_ELSEWHERE[2]},
        finds_nothing=MANAGERS | {STAFF_ELSEWHERE[2]},
    ),
    Row(
        "POST /api/bookings/house-changes",
        MANAGERS,
        {"showtime_id": "{showtime_id}", "kind": "cancel", "reason": "technical"},
    ),
    Row("GET /api/bookings/house-changes", MANAGERS, query={"showtime_id": "{showtime_id}"}),
    *(
        Row(operation, MANAGERS | {STAFF_ELSEWHERE[2]}, of_missing=True)
        for operation in (
            "GET /api/bookings/house-changes/{change_id}",
            "GET /api/bookings/house-changes/{change_id}/rows",
            "POST /api/bookings/house-changes/{change_id}/commit",
            "POST /api/bookings/house-changes/{change_id}/confirm",
            "POST /api/bookings/house-changes/{change_id}/resume",
        )
    ),
    Row("GET /api/bookings/{booking_id}", OWNER | READERS, hidden=True),
    Row("GET /api/bookings/{booking_id}/tickets.pdf", OWNER | READERS, hidden=True),
    Row("GET /api/bookings/{booking_id}/receipt.pdf", OWNER | READERS, hidden=True),
    Row("GET /api/bookings/{booking_id}/calendar.ics", OWNER | READERS, hidden=True),
    # Without certificates, every booking is without passes, and no pass has a token.
    Row("GET /api/bookings/{booking_id}/passes.pkpasses", NO_WALLETS, hidden=True),
    Row("GET /api/bookings/{booking_id}/google-wallet", NO_WALLETS, hidden=True),
    Row("POST /api/wallet/v1/devices/{device}/registrations/{pass_type}/{ticket_id}", ALL, {"pushToken": "x"}),
    Row("DELETE /api/wallet/v1/devices/{device}/registrations/{pass_type}/{ticket_id}", ALL),
    Row("GET /api/wallet/v1/devices/{device}/registrations/{pass_type}", ALL),
    Row("GET /api/wallet/v1/passes/{pass_type}/{ticket_id}", ALL),
    Row("POST /api/wallet/v1/log", ALL, {"logs": []}),
    Row("POST /api/bookings/{booking_id}/cancel", OWNER | DESK, hidden=True, sees=frozenset({DOOR_HERE})),
    Row(
        "POST /api/bookings/{booking_id}/cancellation-quote",
        OWNER | MANAGERS,
        {},
        hidden=True,
        sees=READERS - MANAGERS,
    ),
    Row(
        "POST /api/bookings/{booking_id}/exchange-quote",
        OWNER,
        {"claim": "{claim}", "tickets": [{"seat_id": "A1", "ticket_type": "adult"}]},
        hidden=True,
        sees=READERS,
    ),
    Row(
        "POST /api/bookings/{booking_id}/choice",
        OWNER,
        {"choice": "keep", "starts_at": "2020-01-01T00:00:00Z"},
        hidden=True,
        sees=READERS,
    ),
    Row(
        "POST /api/bookings/{booking_id}/refunds/{refund_id}/retry",
        MANAGERS,
        hidden=True,
        sees=OWNER | READERS - MANAGERS,
    ),
    Row("POST /api/bookings/{booking_id}/adopt", frozenset(), hidden=True, sees=OWNER),
    *(
        Row(operation, OWNER | DESK, body, hidden=True, sees=frozenset({DOOR_HERE}))
        for operation, body in (
            ("PUT /api/bookings/{booking_id}/email", {"email": "guest@usher.example"}),
            ("POST /api/bookings/{booking_id}/send-tickets", None),
        )
    ),
    Row("GET /api/promotions", MANAGERS | {STAFF_ELSEWHERE[2]}),
    Row("POST /api/promotions", MANAGERS | {STAFF_ELSEWHERE[2]}, {}),
    *(
        Row(operation, MANAGERS, body, hidden=True, sees=ALL - {NOBODY, STAFF_ELSEWHERE[2]})
        for operation, body in (
            ("GET /api/promotions/{promotion_id}", None),
            ("PUT /api/promotions/{promotion_id}", PROMOTION | {"version": 99}),
            ("DELETE /api/promotions/{promotion_id}", None),
        )
    ),
    Row("GET /api/tickets/keys", ALL),
    Row("GET /api/tickets/{ticket_id}", OWNER | READERS, hidden=True),
    Row("GET /api/tickets", SIGNED_IN),
    Row("POST /api/tickets/{ticket_id}/transfer", OWNER, {"email": "grace@usher.example"}, hidden=True, sees=READERS),
    Row("DELETE /api/tickets/{ticket_id}/transfer", OWNER, hidden=True, sees=READERS),
    # Only the key of the mailed link, or the account that accepted the ticket, opens these.
    *(
        Row(f"{method} /api/tickets/{{ticket_id}}/{what}", frozenset(), hidden=True, sees=frozenset())
        for method, what in (
            ("GET", "transfer"),
            ("POST", "transfer/accept"),
            ("POST", "return"),
            ("GET", "ticket.pdf"),
            ("GET", "calendar.ics"),
            ("GET", "ticket.pkpass"),
            ("GET", "google-wallet"),
        )
    ),
]

PAYMENT = [
    Row("GET /api/payments/config", ALL),
    Row("POST /api/payments/webhook", ALL, {}),
    Row("POST /api/payments/create-intent", OWNER, {"order": "{order}"}, hidden=True, hides_from_nobody=True),
    Row("GET /api/payments/{booking_id}", OWNER | ADMINS, hidden=True, hides_from_nobody=True),
    Row("POST /api/payments/{booking_id}/refunds", ADMINS, {"amount": 10**9}),
    Row("POST /api/gift-cards", ALL, {"amount": 1}),
    Row("POST /api/gift-cards/balance", ALL, {}),
    Row("GET /api/gift-cards/credit", SIGNED_IN),
    Row("GET /api/gift-cards/{gift_card_id}", ALL),
    Row("POST /api/gift-cards/{gift_card_id}/refund", ALL),
    Row("GET /api/gift-cards", ADMINS, query={"last_characters": "0000"}),
    Row("GET /api/gift-cards/liability", ADMINS),
    Row("POST /api/gift-cards/issue", ADMINS, {"amount": 1}),
    *rows(
        ADMINS,
        (f"POST /api/gift-cards/{{gift_card_id}}/{act}" for act in ("block", "unblock", "mail")),
    ),
]

NOTIFIER = [
    Row("GET /api/notifications", ADMINS),
    Row("POST /api/notifications/previews", MANAGERS | {STAFF_ELSEWHERE[2]}, {}),
    Row("GET /api/notifications/preferences", SIGNED_IN),
    Row("PUT /api/notifications/preferences", SIGNED_IN, {"reminders": "?"}),
    Row("GET /api/notifications/unsubscribe", ALL, query={"token": "missing"}),
    Row("POST /api/notifications/unsubscribe", ALL, query={"token": "missing"}),
    Row("POST /api/notifications/reminder-choices", ALL, {"token": "missing"}),
]

CANCEL = Row("POST /api/showtimes/{showtime_id}/cancel", MANAGERS, {"reason": "technical"})
"""Ends what the other rows use."""

MATRIX = [*IDENTITY, *CATALOG, *INVENTORY, *BOOKING, *PAYMENT, *NOTIFIER, CANCEL]
