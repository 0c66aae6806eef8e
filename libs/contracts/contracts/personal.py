"""The base of each service's answer to a data export request (identity.export_requested)."""

from typing import Annotated, Any

from pydantic import Field

from contracts.envelope import Event
from contracts.types import Id


class PersonalData(Event):
    """A part of a service's export. Parts are numbered from 0; the last one has `is_last` and may be empty.

    An item is one record of the service as JSON, in words that the person understands.
    """

    export_id: Id
    part: Annotated[int, Field(ge=0)]
    is_last: bool
    items: list[dict[str, Any]]
