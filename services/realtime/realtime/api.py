"""WebSocket in: `/ws`. What a client may say and what is answered; README.md has the whole protocol."""

from typing import Annotated, Literal
from urllib.parse import urlsplit

from chassis.auth import Verifier
from chassis.problems import Forbidden
from chassis.problems import response as problem_response
from chassis.secrets import hash_secret
from contracts.errors import Problem
from contracts.types import Id
from fastapi import APIRouter, WebSocket
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from realtime import settings
from realtime.sockets import TOO_BIG, Connection, Hub, encode, error, problem

router = APIRouter()


class Full(Problem):
    code, status, title = "too_many_connections", 503, "Too many people are watching here. Please try again."


class ForeignOrigin(Forbidden):
    code, title = "foreign_origin", "Pages of other sites may not connect."


class Said(BaseModel):
    """A message of a client."""

    model_config = ConfigDict(extra="forbid")


class Subscribe(Said):
    type: Literal["subscribe"]
    showtime_id: Id


class Unsubscribe(Said):
    type: Literal["unsubscribe"]
    showtime_id: Id


class Authenticate(Said):
    """At least one of the two. `hold_secret` is what a guest got with the hold."""

    type: Literal["authenticate"]
    token: Annotated[str, Field(min_length=1, max_length=4000)] | None = None
    hold_secret: Annotated[str, Field(min_length=1, max_length=128)] | None = None

    @model_validator(mode="after")
    def _says_something(self) -> "Authenticate":
        if self.token is None and self.hold_secret is None:
            raise ValueError("token or hold_secret is needed")
        return self


class Ping(Said):
    type: Literal["ping"]


_said = TypeAdapter(Annotated[Subscribe | Unsubscribe | Authenticate | Ping, Field(discriminator="type")])


@router.websocket("/ws")
async def live(websocket: WebSocket) -> None:
    """Live seats and the caller's own bookings."""
    hub: Hub = websocket.app.state.hub
    verifier: Verifier = websocket.app.state.verifier
    limits = settings.get()
    if not is_welcome(websocket.headers.get("origin"), websocket.headers.get("host", ""), limits):
        await websocket.send_denial_response(problem_response(ForeignOrigin()))
        return
    if hub.is_full:
        await websocket.send_denial_response(problem_response(Full(retry_after=5)))
        return
    await websocket.accept()
    async with hub.joined(websocket) as connection:

        async def handle(message: str | bytes) -> None:
            if len(message if isinstance(message, bytes) else message.encode()) > limits.max_message_bytes:
                connection.send(error("message_too_big", f"At most {limits.max_message_bytes} bytes are read."))
                connection.drop(TOO_BIG, "message_too_big")
                return
            await answer(message, connection, hub, verifier)

        await connection.run(handle)


def is_welcome(origin: str | None, host: str, limits: settings.Settings) -> bool:
    """Whether a page of this origin may connect. Programs send no origin; they have no user's browser to misuse."""
    if origin is None:
        return True
    known = {*limits.cors_origins, limits.public_url.rstrip("/")}
    return origin in known or urlsplit(origin).netloc == host


async def answer(message: str | bytes, connection: Connection, hub: Hub, verifier: Verifier) -> None:
    """Do what the client says; what is wrong with it is told and the connection goes on."""
    try:
        said = _said.validate_json(message)
    except ValidationError as invalid:
        connection.send(_complaint(invalid))
        return
    match said:
        case Subscribe():
            await _subscribe(said.showtime_id, connection, hub)
        case Unsubscribe():
            hub.unsubscribe(connection, said.showtime_id)
        case Authenticate():
            await _authenticate(said, connection, hub, verifier)
        case Ping():
            connection.send(encode({"type": "pong"}))


def _complaint(invalid: ValidationError) -> str:
    fault = invalid.errors(include_url=False, include_context=False, include_input=False)[0]
    if fault["type"] == "json_invalid":
        return error("bad_json", "A message is one JSON object.")
    if fault["type"].startswith("union_tag"):
        return error("unknown_type", "The type is subscribe, unsubscribe, authenticate or ping.")
    place = ".".join(str(part) for part in fault["loc"][1:])
    return error("bad_message", f"{place}: {fault['msg']}" if place else fault["msg"])


async def _subscribe(showtime_id: str, connection: Connection, hub: Hub) -> None:
    most = settings.get().max_subscriptions
    if showtime_id not in connection.showtimes and len(connection.showtimes) >= most:
        detail = f"At most {most} showtimes at a time. Unsubscribe from one first."
        connection.send(error("too_many_subscriptions", detail, showtime_id=showtime_id))
        return
    try:
        await hub.subscribe(connection, showtime_id)
    except Problem as refused:
        connection.send(problem(refused, showtime_id=showtime_id))


async def _authenticate(said: Authenticate, connection: Connection, hub: Hub, verifier: Verifier) -> None:
    user_id: str | None = None
    try:
        if said.token is not None:
            principal = await verifier.verify(said.token)
            hub.identify(connection, principal)
            user_id = principal.user_id
    except Problem as refused:
        connection.send(problem(refused))
        return
    if said.hold_secret is not None and not hub.identify_guest(connection, hash_secret(said.hold_secret)):
        connection.send(error("too_many_secrets", "This connection follows too many holds."))
        return
    connection.send(encode({"type": "authenticated", "user_id": user_id, "guest": said.hold_secret is not None}))
