"""The moment of an exchange: one write of the earlier booking decides whether the new one gets the tickets' value."""

from functools import partial

from booking.model import Booking, ExchangeRefused, ExchangeTickets, exchange_made, exchange_tickets
from booking.saga import refuse_exchange
from booking.store.process_manager import ProcessManager


async def complete_exchange(manager: ProcessManager, new: Booking) -> Booking:
    """Complete the exchange of a booking in the state `exchanging`; returns the new booking.

    The earlier booking records the exchange or its refusal, whichever is written first. So every replica, and a repeat
    after a crash, continues with the same decision.
    """
    terms = new.exchange
    assert terms is not None  # noqa: S101 - bookings in this state have one

    async def exchange(old: Booking) -> ExchangeTickets | None:
        is_decided = new.id in old.refused_exchanges or any(each.replaced_by == new.id for each in old.exchanges)
        return None if is_decided or new.ending else exchange_tickets(old, terms)

    old = await manager.advance(terms.replaces, exchange)
    old = await manager.amend(old.id, partial(refuse_exchange, new_id=new.id))
    made = next((each for each in old.exchanges if each.replaced_by == new.id), None)
    return await manager.advance(new.id, exchange_made(old, made) if made else ExchangeRefused())
