"""The content of a review."""

from typing import Annotated, Literal

from contracts.types import Name
from pydantic import BaseModel, ConfigDict, Field

from catalog.model.movies import Prose
from catalog.model.ratings import MAX_STARS

Complaint = Literal["spam", "abuse", "spoiler", "off_topic", "other"]
MAX_REPORTS = 50
"""The maximum number of stored reports, which bounds the document."""


class ReviewText(BaseModel):
    """Stars, 1 to 5, with an optional headline and text."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"stars": 5, "headline": "Again!", "text": "The best on a large screen."}]}
    )

    stars: Annotated[int, Field(ge=1, le=MAX_STARS)]
    headline: Name | None = None
    text: Prose = ""


def byline(name: str) -> str:
    """The public name of a reviewer, `Ada L.`."""
    first, *rest = name.split() or ["Anonymous"]
    return f"{first} {rest[-1][0]}." if rest else first
