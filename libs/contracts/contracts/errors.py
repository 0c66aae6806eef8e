"""Errors that all services share.

Problem             a domain error that is returned to the client (RFC 9457); each service subclasses it
RejectedEvent       an event that can never be handled: it becomes a dead letter and raises an alert
NotYet              an event that arrived before one it depends on: it is retried a little later
"""

from typing import Any, ClassVar


class Problem(Exception):
    """A domain error with a stable `code`, an HTTP `status` and a sentence for people.

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
    """The event cannot be handled, now or later."""


class NotYet(Exception):
    """The event depends on another event that has not arrived yet."""
