"""What a service answers when a person asks for all that Usher keeps about them (identity.export_requested)."""

from typing import Annotated, Any

from pydantic import Field

from contracts.envelope import Event
from contracts.types import Id


class PersonalData(Event):
    """A part of the answer. Parts count from 0; the last one may be empty, and says that it is the last.

    An item is one thing that the service keeps, as JSON, in words that its person understands.
    """

    export_id: Id
    part: Annotated[int, Field(ge=0)]
    is_last: bool
    items: list[dict[str, Any]]
