"""The errors of booking.

BookingProblem
├── BookingUnknown       404  not found, or not the caller's
├── TicketUnknown        404
├── LinkVoid             404
├── DocumentUnavailable  404  the booking has no such document, now or on this platform
├── HouseChangeUnknown   404
├── ClaimRequired        422  the request has no claim
├── ClaimInvalid         422
├── HoldExpired          409  the hold ended before the checkout
├── AlreadyCheckedOut    409  checked out earlier with another order
├── NotCancellable       409
├── NotExchangeable      409
├── TooFewSeats          422  fewer seats than exchanged tickets
├── CurrencyDiffers      422  the new showtime is sold in another currency
├── AddressFixed         409  the booking has ended
├── AccountsBooking      403  a link does not change the address of an account's booking
├── NoTickets            409  the booking has no valid tickets
├── NotTransferable      409  names the reason
├── TransfersClosed      409  the doors are open
├── TransferPending      409  the ticket is offered to somebody else
├── TransferSettled      409  somebody has accepted the ticket
├── TransferUnknown      404  the offer was recalled, or the link is not valid
├── TooManyTransfers     429
├── TooManyDevices       409  the ticket's pass is on the maximum number of devices
├── MailedRecently       429
├── QuoteInvalid         422
├── QuoteChanged         409  carries the new quote
├── ChangeImpossible     409  the showtime cannot be changed like this
├── ChoiceClosed         409  no choice after a move, or the showtime was moved again
├── DryRunChanged        409  carries the new dry run
├── SecondPersonRequired 403  the person who requested the change cannot confirm it
├── RefundTooLarge       422  more than was paid for the tickets
├── CreditUnavailable    422  no store credit here
├── ReasonRequired       422  staff must say why
├── ShowtimeClosed       409  cancelled or over
├── TicketsDoNotMatch    422  names the seats
├── PriceUnknown         422  names the seats
├── CompanionWithoutWheelchair 422 names the seats
├── PromotionRefused     422  names the code, why, and when it would apply
├── TooManyCodes         429
├── PromotionUnknown     404
├── PromotionCodeTaken   409
├── PromotionChanged     409  changed since it was read
├── ShowtimeNotReady     503  this service has not received its prices yet
├── DocumentsBusy        503  too many documents are being made
└── BookingBusy          503  too many concurrent changes
"""

from contracts.errors import Problem


class BookingProblem(Problem):
    """Base class of the errors of this service."""


class BookingUnknown(BookingProblem):
    code, status, title = "booking_unknown", 404, "There is no such booking."


class TicketUnknown(BookingProblem):
    code, status, title = "ticket_unknown", 404, "There is no such ticket."


class LinkVoid(BookingProblem):
    code, status = "booking_link_void", 404  # browsers may cache a 410 indefinitely (RFC 9110, 15.5.11)
    title = "This link is invalid or has expired. Please request a new one."


class DocumentUnavailable(BookingProblem):
    code, status, title = "document_unavailable", 404, "This booking has no such document."


class NotTransferable(BookingProblem):
    code, status, title = "not_transferable", 409, "This ticket cannot be transferred."


class TransfersClosed(BookingProblem):
    code, status, title = "transfers_closed", 409, "The doors are open. Tickets can no longer be transferred."


class TransferPending(BookingProblem):
    code, status = "transfer_pending", 409
    title = "This ticket is offered to another person. Please withdraw that offer first."


class TransferSettled(BookingProblem):
    code, status, title = "transfer_settled", 409, "This ticket has already been accepted."


class TransferUnknown(BookingProblem):
    code, status = "transfer_unknown", 404
    title = "This link is not valid: the offer was withdrawn, or the ticket was passed on."


class TooManyTransfers(BookingProblem):
    code, status, title = "too_many_transfers", 429, "This ticket was offered too often. Please contact the theater."


class TooManyDevices(BookingProblem):
    code, status, title = "too_many_devices", 409, "This ticket is on too many devices."


class DocumentsBusy(BookingProblem):
    code, status = "documents_busy", 503
    title = "Too many documents are being made at the moment. Please try again."


class ClaimRequired(BookingProblem):
    code, status = "claim_required", 422
    title = "The hold's claim is required. POST /api/showtimes/{id}/holds and GET /api/holds/{id} return it."


class ClaimInvalid(BookingProblem):
    code, status = "claim_invalid", 422
    title = "The hold's claim is invalid. GET /api/holds/{id} returns the current one."


class HoldExpired(BookingProblem):
    code, status, title = "hold_expired", 409, "These seats are no longer held for you. Please choose seats again."


class AlreadyCheckedOut(BookingProblem):
    code, status, title = "already_checked_out", 409, "This hold was already checked out with a different order."


class NotCancellable(BookingProblem):
    code, status, title = "not_cancellable", 409, "This booking cannot be cancelled."


class NotExchangeable(BookingProblem):
    code, status, title = "not_exchangeable", 409, "This booking cannot be exchanged."


class TooFewSeats(BookingProblem):
    code, status, title = "too_few_seats", 422, "Please choose a seat for each ticket that you exchange."


class CurrencyDiffers(BookingProblem):
    code, status, title = "currency_differs", 422, "The new showtime is sold in another currency."


class AddressFixed(BookingProblem):
    code, status, title = "address_fixed", 409, "The booking has ended. Its e-mail address can no longer be changed."


class AccountsBooking(BookingProblem):
    code, status = "sign_in_to_change", 403
    title = "This booking belongs to an account. Please sign in to change its e-mail address."


class NoTickets(BookingProblem):
    code, status, title = "no_tickets", 409, "This booking has no valid tickets to send."


class MailedRecently(BookingProblem):
    code, status = "mailed_recently", 429
    title = "The tickets were sent or the address was changed a short while ago. Please try again later."


class QuoteInvalid(BookingProblem):
    code, status, title = "quote_invalid", 422, "This is not a quote for this booking. Please get a new one."


class QuoteChanged(BookingProblem):
    code, status, title = "quote_changed", 409, "The quote no longer applies. Please check the new one."


class HouseChangeUnknown(BookingProblem):
    code, status, title = "house_change_unknown", 404, "There is no such change of a showtime."


class ChangeImpossible(BookingProblem):
    code, status, title = "change_impossible", 409, "This showtime cannot be changed like this."


class ChoiceClosed(BookingProblem):
    code, status, title = "choice_closed", 409, "This choice is no longer open. Please look at your booking again."


class DryRunChanged(BookingProblem):
    code, status = "dry_run_changed", 409
    title = "The bookings have changed since this dry run. Please check the new one."


class SecondPersonRequired(BookingProblem):
    code, status, title = "second_person_required", 403, "Another person must confirm this change."


class RefundTooLarge(BookingProblem):
    code, status, title = "refund_too_large", 422, "A refund cannot be more than what was paid for the tickets."


class CreditUnavailable(BookingProblem):
    code, status = "credit_unavailable", 422
    title = "There is no store credit for this booking. Money goes back to the card."


class ReasonRequired(BookingProblem):
    code, status, title = "reason_required", 422, "Please give a reason for cancelling another person's tickets."


class ShowtimeClosed(BookingProblem):
    code, status, title = "showtime_closed", 409, "This showtime is no longer on sale."


class TicketsDoNotMatch(BookingProblem):
    code, status, title = "tickets_do_not_match", 422, "There must be exactly one ticket for each held seat."


class PriceUnknown(BookingProblem):
    code, status, title = "price_unknown", 422, "This ticket type is not available for this seat."


class CompanionWithoutWheelchair(BookingProblem):
    code, status = "companion_without_wheelchair", 422
    title = "Each companion ticket requires a wheelchair space in the same booking."


class PromotionRefused(BookingProblem):
    code, status, title = "promotion_refused", 422, "This code does not apply."


class TooManyCodes(BookingProblem):
    code, status, title = "too_many_codes", 429, "Too many unknown codes were entered. Please try again later."


class PromotionUnknown(BookingProblem):
    code, status, title = "promotion_unknown", 404, "There is no such promotion."


class PromotionCodeTaken(BookingProblem):
    code, status, title = "promotion_code_taken", 409, "Another promotion has this code."


class PromotionChanged(BookingProblem):
    code, status = "promotion_changed", 409
    title = "The promotion was changed in the meantime. Please read it again."


class ShowtimeNotReady(BookingProblem):
    code, status = "showtime_not_ready", 503
    title = "This showtime's prices are not available yet. Please try again."


class BookingBusy(BookingProblem):
    code, status, title = "booking_busy", 503, "This booking is being changed at the moment. Please try again."
