"""WebSocket in: `/ws`. What a client may say and what is answered; protocol.py has the messages."""

from typing import Annotated
from urllib.parse import urlsplit

from chassis.auth import Verifier
from chassis.problems import Forbidden
from chassis.problems import response as problem_response
from chassis.secrets import hash_secret
from contracts.errors import Problem
from fastapi import APIRouter, WebSocket
from pydantic import Field, TypeAdapter, ValidationError

from realtime import settings
from realtime.hub import Hub, encoded, error, problem
from realtime.lines import Handshake, Line
from realtime.protocol import Authenticate, ClientMessage, Ping, Select, Subscribe, Unsubscribe

router = APIRouter()


class Full(Problem):
    code, status, title = "too_many_connections", 503, "Too many people are watching here. Please try again."


class ForeignOrigin(Forbidden):
    code, title = "foreign_origin", "Pages of other sites may not connect."


_said = TypeAdapter(Annotated[ClientMessage, Field(discriminator="type")])


@router.websocket("/ws")
async def live(websocket: WebSocket) -> None:
    """Live seats and the caller's own bookings."""
    hub: Hub = websocket.app.state.hub
    verifier: Verifier = websocket.app.state.verifier
    if not is_welcome(websocket.headers.get("origin"), websocket.headers.get("host", ""), settings.get()):
        await websocket.send_denial_response(problem_response(ForeignOrigin()))
        return
    address = websocket.client.host if websocket.client else ""
    if not hub.has_place_for(address):
        await websocket.send_denial_response(problem_response(Full(retry_after=5)))
        return

    async def handle(line: Line, message: bytes) -> None:
        await answer(message, line, hub, verifier)

    await websocket.accept()
    handshake: Handshake = websocket.scope["extensions"]["usher.handshake"]
    handshake.hand_over(hub.new_line(address), handle=handle, ended=hub.leave)


def is_welcome(origin: str | None, host: str, limits: settings.Settings) -> bool:
    """Whether a page of this origin may connect. Programs send no origin; they have no user's browser to misuse."""
    if origin is None:
        return True
    known = {*limits.cors_origins, limits.public_url.rstrip("/")}
    return origin in known or urlsplit(origin).netloc == host


async def answer(message: bytes, line: Line, hub: Hub, verifier: Verifier) -> None:
    """Do what the client says; what is wrong with it is told and the connection goes on."""
    try:
        said = _said.validate_json(message)
    except ValidationError as invalid:
        line.send(_complaint(invalid))
        return
    match said:
        case Subscribe():
            await _subscribe(said.showtime_id, line, hub)
        case Unsubscribe():
            hub.unsubscribe(line, said.showtime_id)
        case Select():
            _select(said, line, hub)
        case Authenticate():
            await _authenticate(said, line, hub, verifier)
        case Ping():
            line.send(encoded({"type": "pong"}))


def _complaint(invalid: ValidationError) -> bytes:
    fault = invalid.errors(include_url=False, include_context=False, include_input=False)[0]
    if fault["type"] == "json_invalid":
        return error("bad_json", "A message is one JSON object.")
    if fault["type"].startswith("union_tag"):
        return error("unknown_type", "The type is subscribe, unsubscribe, seat:select, authenticate or ping.")
    place = ".".join(str(part) for part in fault["loc"][1:])
    return error("bad_message", f"{place}: {fault['msg']}" if place else fault["msg"])


async def _subscribe(showtime_id: str, line: Line, hub: Hub) -> None:
    most = settings.get().max_subscriptions
    if showtime_id not in line.showtimes and len(line.showtimes) >= most:
        detail = f"At most {most} showtimes at a time. Unsubscribe from one first."
        line.send(error("too_many_subscriptions", detail, showtime_id=showtime_id))
        return
    try:
        await hub.subscribe(line, showtime_id)
    except Problem as refused:
        line.send(problem(refused, showtime_id=showtime_id))


def _select(said: Select, line: Line, hub: Hub) -> None:
    try:
        hub.look(line, said.showtime_id, frozenset(said.seats))
    except Problem as refused:
        line.send(problem(refused, showtime_id=said.showtime_id))


async def _authenticate(said: Authenticate, line: Line, hub: Hub, verifier: Verifier) -> None:
    user_id: str | None = None
    try:
        if said.token is not None:
            principal = await verifier.verify(said.token)
            hub.identify(line, principal)
            user_id = principal.user_id
    except Problem as refused:
        line.send(problem(refused))
        return
    if said.hold_secret is not None and not hub.identify_guest(line, hash_secret(said.hold_secret)):
        line.send(error("too_many_secrets", "This connection follows too many holds."))
        return
    line.send(encoded({"type": "authenticated", "user_id": user_id, "guest": said.hold_secret is not None}))
