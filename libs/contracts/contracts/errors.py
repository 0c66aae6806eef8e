"""Errors that every service knows.

Problem             a domain error that a person or client is told (RFC 9457); each service draws its own tree below it
RejectedEvent       an event that can never be handled: dead letter, alarm
NotYet              an event that came before what it builds on: try again a little later
"""

from typing import Any, ClassVar


class Problem(Exception):
    """An error with a stable `code`, an HTTP `status` and a sentence for a person.

    `members` are extra fields of the problem document, e.g. `seats=["F7"]`; they must be JSON values.
    """

    code: ClassVar[str] = "problem"
    status: ClassVar[int] = 400
    title: ClassVar[str] = "The request could not be carried out."

    def __init__(self, detail: str = "", **members: Any) -> None:
        self.detail = detail or self.title
        self.members = members
        super().__init__(self.detail)


class RejectedEvent(Exception):
    """The event makes no sense here and will not make sense later."""


class NotYet(Exception):
    """The event's predecessor has not arrived yet."""
