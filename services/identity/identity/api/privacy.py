"""A person's right to erasure and to a copy of their data (GDPR, articles 15, 17 and 20)."""

import json
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Literal

import structlog
from chassis.clock import now
from chassis.http.problems import Unavailable, documented
from fastapi import status
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field
from pydantic_core import to_json

from identity import settings, store
from identity.api.attempts import Limits
from identity.api.cookies import Cookies
from identity.api.routing import VISIT_PROBLEMS, CurrentVisit, FromClient, PasswordRequest, router
from identity.model import Busy, ExportGathering, ExportUnknown, LastAdmin, TooManyAttempts, WrongPassword

log = structlog.get_logger()
users = router("/api/users/me", "profile")
PASSWORD_PROBLEMS = (*VISIT_PROBLEMS, WrongPassword, TooManyAttempts, Busy)


class ExportResponse(BaseModel):
    """An export of all data about a person. `missing` lists services that have not answered (in time)."""

    state: Literal["gathering", "ready"]
    requested_at: datetime
    expires_at: datetime
    missing: list[str] = Field(examples=[["payment"]])
    data: str = Field(default="/api/users/me/export/data", description="the download address once it is ready")


@users.post(
    "/delete",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=documented(*PASSWORD_PROBLEMS, LastAdmin, Unavailable),
)
async def delete(body: PasswordRequest, visit: CurrentVisit, limits: Limits, jar: Cookies) -> None:
    """Delete the caller's account permanently. Every service erases personal data; payments stay in the books.

    Tickets stay valid, and unpaid bookings end.
    """
    user = visit.user
    await limits.confirm_password(visit, body.password)
    await store.delete_account(user.id, user.id, now(), user.password_hash)
    jar.forget()
    log.info("account_deleted", user_id=user.id)


@users.post("/export", status_code=status.HTTP_202_ACCEPTED, responses=documented(*PASSWORD_PROBLEMS))
async def begin_export(
    body: PasswordRequest, visit: CurrentVisit, client: FromClient, limits: Limits
) -> ExportResponse:
    """Request a copy of all data about the caller. A mail says when it can be downloaded, for three days.

    Another request within ten minutes returns the same export.
    """
    await limits.confirm_password(visit, body.password)
    export = await store.begin_export(visit.user, now(), settings.get().export_patience, client.device)
    log.info("export_requested", user_id=visit.user.id, export_id=export.export_id)
    return _shown(export)


def _shown(export: store.Export) -> ExportResponse:
    return ExportResponse.model_validate(export, from_attributes=True)


@users.get("/export", responses=documented(*VISIT_PROBLEMS, ExportUnknown))
async def export(visit: CurrentVisit) -> ExportResponse:
    """The progress of the caller's export."""
    return _shown(await _found(visit.user.id))


async def _found(user_id: str) -> store.Export:
    if found := await store.find_export(user_id, now()):
        return found
    raise ExportUnknown


@users.get(
    "/export/data",
    response_class=StreamingResponse,
    responses=documented(*VISIT_PROBLEMS, ExportUnknown, ExportGathering)
    | {200: {"description": "One JSON document: a list for each service.", "content": {"application/json": {}}}},
)
async def download(visit: CurrentVisit) -> StreamingResponse:
    """Everything as one JSON document: `exported_at`, `missing`, and a list for each service."""
    found = await _found(visit.user.id)
    if found.state == "gathering":
        raise ExportGathering(retry_after=5)
    log.info("export_downloaded", user_id=visit.user.id, export_id=found.export_id)
    headers = {"Content-Disposition": 'attachment; filename="usher-export.json"', "Cache-Control": "no-store"}
    return StreamingResponse(_document(found), media_type="application/json", headers=headers)


async def _document(export: store.Export) -> AsyncIterator[str]:
    """The document, streamed item by item, so that it need not fit into memory."""
    about = {"user_id": export.id, "exported_at": export.requested_at, "missing": export.missing}
    yield to_json(about, indent=1).decode()[:-2]
    sources = {"identity": store.records_about(export.id)} | {
        service: store.items_of(export, service) for service in export.asked
    }
    for service, items in sources.items():
        yield f",\n {json.dumps(service)}: ["
        separator = "\n  "
        async for item in items:
            yield separator + json.dumps(item, ensure_ascii=False)
            separator = ",\n  "
        yield "\n ]"
    yield "\n}\n"
