"""Price lists: their documents and the writes that change them."""

from collections.abc import Sequence

from chassis.mongo.collection import Collection
from chassis.mongo.outbox import Aggregate
from pymongo.errors import DuplicateKeyError

from catalog.model.prices import Label, Tariff
from catalog.model.problems import ChangedMeanwhile, NotFound, PriceListExists
from catalog.store.reading import index


class PriceList(Aggregate, Tariff):
    """A theater's prices from a day on. Showtimes keep the prices with which they were published."""

    theater_id: str
    name: Label

    class Settings:
        name = "price_lists"
        indexes = [index("theater_id", "valid_from", unique=True)]


price_lists = Collection(PriceList)


async def price_lists_of(theater_id: str) -> Sequence[PriceList]:
    """A theater's price lists, sorted by their first day."""
    return [each async for each in price_lists.find({"theater_id": theater_id}, sort=[("valid_from", 1)])]


async def add_price_list(price_list: PriceList) -> None:
    """Insert a price list. Raises PriceListExists."""
    if not await price_lists.insert(price_list):
        raise PriceListExists(valid_from=price_list.valid_from)


async def change_price_list(price_list_id: str, theater_id: str, name: str, tariff: Tariff, version: int) -> PriceList:
    """Replace the content of a price list that was read as `version`.

    Raises NotFound, ChangedMeanwhile and PriceListExists.
    """
    content = tariff.model_dump() | {"name": name}
    where = {"_id": price_list_id, "theater_id": theater_id}
    try:
        changed = await price_lists.update_and_get(where | {"version": version}, {"$set": content})
    except DuplicateKeyError as error:
        raise PriceListExists(valid_from=tariff.valid_from) from error
    if changed:
        return changed
    if await price_lists.exists(where):
        raise ChangedMeanwhile
    raise NotFound(f"There is no price list {price_list_id}.")


async def remove_price_list(price_list_id: str, theater_id: str) -> None:
    """Delete a price list. Raises NotFound."""
    if not await price_lists.delete({"_id": price_list_id, "theater_id": theater_id}):
        raise NotFound(f"There is no price list {price_list_id}.")
