"""Consumed events: lines of the audit log, and parts of exports."""

from chassis.clock import now
from chassis.messaging.consumer import Handlers
from contracts.booking import BookingDataExported, HouseChangeActed, StaffActed
from contracts.catalog import CatalogDataExported
from contracts.identity import ActRecorded
from contracts.inventory import InventoryDataExported
from contracts.notifier import NotifierDataExported
from contracts.payment import GiftCardActed, PaymentDataExported
from contracts.personal import PersonalData

from identity import store


async def on_act_recorded(event: ActRecorded) -> None:
    """Insert the action into the audit log."""
    await store.enter(event)


async def on_staff_acted(event: StaffActed | HouseChangeActed | GiftCardActed) -> None:
    """Insert an action of staff on a booking, a showtime or a gift card into the audit log."""
    await store.enter(event)


async def on_personal_data(event: PersonalData) -> None:
    """Store a part of an export."""
    await store.take_part(event, now())


HANDLERS: Handlers = {
    ActRecorded: on_act_recorded,
    StaffActed: on_staff_acted,
    HouseChangeActed: on_staff_acted,
    GiftCardActed: on_staff_acted,
    **dict.fromkeys(
        (CatalogDataExported, InventoryDataExported, BookingDataExported, PaymentDataExported, NotifierDataExported),
        on_personal_data,
    ),
}
