"""HTTP API: staff list the messages and see previews of mails; people turn reminders on and off."""

from datetime import datetime
from typing import Annotated

from chassis.clock import now
from chassis.http.paging import Page, decode_cursor, encode_cursor
from chassis.http.problems import documented
from chassis.security.auth import Principal, require, require_everywhere, verified
from chassis.security.signed import NotSigned
from contracts.booking import BookingCancelled, BookingRescheduled
from fastapi import APIRouter, Depends, Query
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, ConfigDict, Field

from notifier import mails, settings
from notifier.mails.rendering import page_url
from notifier.model import Kind, PreviewImpossible, ReminderLink, ReminderLinkInvalid, State, Unmailable, masked
from notifier.store import Message, ReminderPlan, ReminderRefusal, address_hash, plans

router = APIRouter(prefix="/api/notifications", tags=["notifications"])


class NotificationResponse(BaseModel):
    """One mail and its delivery state."""

    notification_id: str
    key: str
    kind: Kind
    reference: str
    to: str = Field(description="The masked address: its first letter and its domain.")
    state: State
    attempts: int
    reason: str | None = Field(description="Why the last attempt failed.")
    queued_at: datetime
    due_at: datetime | None = Field(description="When the next attempt is due, or when the current one times out.")
    sent_at: datetime | None


@router.get("", dependencies=[Depends(require_everywhere("notifications:read"))])
async def notifications(
    state: State | None = None,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> Page[NotificationResponse]:
    """List the mails, newest first."""
    position = decode_cursor(cursor, str)
    found = await Message.newest(state, position[0] if position else None, limit + 1)
    page = found[:limit]
    return Page(
        items=[_response(message) for message in page],
        next_cursor=encode_cursor(page[-1].id) if len(found) > limit else None,
    )


def _response(message: Message) -> NotificationResponse:
    fields = message.model_dump(include=NotificationResponse.model_fields.keys() & Message.model_fields.keys())
    return NotificationResponse(notification_id=message.id, to=masked(message.address), **fields)


class PreviewRequest(BaseModel):
    """The event about one booking that becomes the mail: `mail` of a dry run at `/api/bookings/house-changes`."""

    model_config = ConfigDict(extra="forbid")

    rescheduled: BookingRescheduled | None = None
    showtime_cancelled: BookingCancelled | None = None


class PreviewResponse(BaseModel):
    """A mail in one language."""

    language: str = Field(examples=["en"])
    subject: str
    text: str
    html: str


@router.post("/previews", dependencies=[Depends(require("showtimes:write"))], responses=documented(PreviewImpossible))
async def preview(body: PreviewRequest) -> list[PreviewResponse]:
    """Render the mail for an event in each language, without sending it."""
    given: list[tuple[Kind, BookingRescheduled | BookingCancelled | None]] = [
        ("rescheduled", body.rescheduled),
        ("showtime_cancelled", body.showtime_cancelled),
    ]
    return [_preview(kind, event, language) for kind, event in given if event for language in mails.known_languages()]


def _preview(kind: Kind, event: BookingRescheduled | BookingCancelled, language: str) -> PreviewResponse:
    """The mail in a language, without the secret of its link. Raises PreviewImpossible."""
    shown = event.model_copy(update={"locale": language, "sealed_link": None})
    try:
        mail = mails.render_stored(kind, shown.model_dump_json())
    except Unmailable as error:
        raise PreviewImpossible(str(error)) from error
    return PreviewResponse(language=language, subject=mail.subject, text=mail.text, html=mail.html)


MAX_TOKEN = 1000
Token = Annotated[str, Query(max_length=MAX_TOKEN)]
Person = Annotated[Principal, Depends(verified)]


class ReminderChoiceRequest(BaseModel):
    """The token of a reminder's link, and what to turn on or off. What is missing does not change."""

    token: str = Field(max_length=MAX_TOKEN)
    booking: bool | None = None
    address: bool | None = None


class ReminderChoiceResponse(BaseModel):
    """Whether reminders are on."""

    booking: bool | None = Field(description="For this booking; null once its showtime is over.")
    address: bool = Field(description="For all bookings with this e-mail address.")


class NotificationPreferences(BaseModel):
    """Which mails a person with an account wants."""

    reminders: bool


@router.post("/reminder-choices")
async def choose_reminders(choice: ReminderChoiceRequest) -> ReminderChoiceResponse:
    """Read or change whether reminders are sent, with the token of a reminder's link."""
    link = _link(choice.token)
    if choice.booking is not None:
        await ReminderPlan.turn(link.booking_id, is_off=not choice.booking)
    if choice.address is not None:
        await ReminderRefusal.turn(None, link.address_hash, now(), is_off=not choice.address)
    plan = await plans.get(link.booking_id)
    return ReminderChoiceResponse(
        booking=None if plan is None or plan.is_ended else not plan.is_off,
        address=not await ReminderRefusal.exists(None, link.address_hash),
    )


@router.get("/unsubscribe", status_code=303, response_class=RedirectResponse)
async def open_unsubscribe_page(token: Token) -> str:
    """Redirect a mail program without one-click unsubscription to the page. A GET changes nothing: scanners send it."""
    _link(token)
    return page_url(f"reminders#token={token}")


@router.post("/unsubscribe", status_code=204)
async def unsubscribe(token: Token) -> None:
    """Turn off all reminders to the address: one-click unsubscription of mail programs (RFC 8058)."""
    await ReminderRefusal.turn(None, _link(token).address_hash, now(), is_off=True)


@router.get("/preferences")
async def preferences(who: Person) -> NotificationPreferences:
    """Return which mails the person wants."""
    return NotificationPreferences(reminders=not await ReminderRefusal.exists(who.user_id, address_hash(who.email)))


@router.put("/preferences")
async def change_preferences(wanted: NotificationPreferences, who: Person) -> NotificationPreferences:
    """Change which mails the person wants."""
    await ReminderRefusal.turn(who.user_id, address_hash(who.email), now(), is_off=not wanted.reminders)
    return wanted


def _link(token: str) -> ReminderLink:
    """Return the claim of a link. Raises ReminderLinkInvalid."""
    try:
        return settings.get().reminder_links.read(token)
    except NotSigned as error:
        raise ReminderLinkInvalid from error
