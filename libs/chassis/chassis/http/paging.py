"""Pagination by cursor: an opaque string that marks where the next page begins."""

import base64
import json
from typing import Any, Generic, TypeVar

from contracts.errors import Problem
from pydantic import BaseModel, Field

T = TypeVar("T")


class CursorInvalid(Problem):
    code, status, title = "cursor_invalid", 422, "The cursor is not valid for this list."


class Page(BaseModel, Generic[T]):
    """One page; `next_cursor` is null on the last one."""

    items: list[T]
    next_cursor: str | None = Field(default=None, examples=["WyIwMTlhYTNjMiJd"])


def encode_cursor(*position: Any) -> str:
    """Encode the sort key of a page's last row, which must consist of JSON values."""
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode().rstrip("=")


def decode_cursor(cursor: str | None, *kinds: type) -> list[Any] | None:
    """Decode the sort key of a cursor and check the types of its parts; None without a cursor.

    Raises CursorInvalid.
    """
    if not cursor:
        return None
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        position = json.loads(text)
        json.dumps(position, ensure_ascii=False).encode()  # JSON can contain lone surrogates, which MongoDB rejects
    except (ValueError, RecursionError) as error:
        raise CursorInvalid from error
    if not isinstance(position, list) or [type(part) for part in position] != list(kinds):
        raise CursorInvalid
    return position
