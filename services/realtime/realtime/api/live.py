"""The WebSocket endpoint `/ws`: checks, and the answer to each client message (model/protocol.py)."""

from typing import Annotated
from urllib.parse import urlsplit

from chassis.http.network import client_network
from chassis.http.problems import Forbidden
from chassis.http.problems import response as problem_response
from chassis.security.auth import Verifier
from chassis.security.secrets import hash_secret
from contracts.errors import Problem
from fastapi import APIRouter, WebSocket
from pydantic import Field, TypeAdapter, ValidationError

from realtime import settings
from realtime.hub import Connection, Handshake, Hub, encoded, error, problem
from realtime.model.protocol import Authenticate, ClientMessage, Ping, Select, Subscribe, Unsubscribe

router = APIRouter()


class Full(Problem):
    code, status, title = "too_many_connections", 503, "Too many people are watching here. Please try again."


class ForeignOrigin(Forbidden):
    code, title = "foreign_origin", "Pages of other sites may not connect."


_client_message = TypeAdapter(Annotated[ClientMessage, Field(discriminator="type")])


@router.websocket("/ws")
async def live(websocket: WebSocket) -> None:
    """Live seats and the caller's own bookings."""
    hub: Hub = websocket.app.state.hub
    verifier: Verifier = websocket.app.state.verifier
    if not is_allowed_origin(websocket.headers.get("origin"), websocket.headers.get("host", ""), settings.get()):
        await websocket.send_denial_response(problem_response(ForeignOrigin()))
        return
    network = client_network(websocket)
    if not hub.has_place_for(network):
        await websocket.send_denial_response(problem_response(Full(retry_after=5)))
        return

    async def handle(connection: Connection, message: bytes) -> None:
        await answer(message, connection, hub, verifier)

    await websocket.accept()
    handshake: Handshake = websocket.scope["extensions"]["usher.handshake"]
    handshake.hand_over(hub.open_connection(network), handle=handle, ended=hub.leave)


def is_allowed_origin(origin: str | None, host: str, limits: settings.Settings) -> bool:
    """Whether a page of this origin may connect. Programs send no origin and cannot misuse a user's browser."""
    if origin is None:
        return True
    known = {*limits.cors_origins, limits.public_url.rstrip("/")}
    return origin in known or urlsplit(origin).netloc == host


async def answer(text: bytes, connection: Connection, hub: Hub, verifier: Verifier) -> None:
    """Process a client's message. A wrong one is answered with an error and the connection stays open."""
    try:
        message = _client_message.validate_json(text)
    except ValidationError as invalid:
        connection.send(_invalid_message(invalid))
        return
    match message:
        case Subscribe():
            await _subscribe(message.showtime_id, connection, hub)
        case Unsubscribe():
            hub.unsubscribe(connection, message.showtime_id)
        case Select():
            _select(message, connection, hub)
        case Authenticate():
            await _authenticate(message, connection, hub, verifier)
        case Ping():
            connection.send(encoded({"type": "pong"}))


def _invalid_message(invalid: ValidationError) -> bytes:
    fault = invalid.errors(include_url=False, include_context=False, include_input=False)[0]
    if fault["type"] == "json_invalid":
        return error("bad_json", "A message is one JSON object.")
    if fault["type"].startswith("union_tag"):
        return error("unknown_type", "The type is subscribe, unsubscribe, seat:select, authenticate or ping.")
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


def _select(message: Select, connection: Connection, hub: Hub) -> None:
    try:
        hub.select(connection, message.showtime_id, frozenset(message.seats))
    except Problem as refused:
        connection.send(problem(refused, showtime_id=message.showtime_id))


async def _authenticate(message: Authenticate, connection: Connection, hub: Hub, verifier: Verifier) -> None:
    user_id: str | None = None
    try:
        if message.token is not None:
            principal = await verifier.verify(message.token)
            hub.identify(connection, principal)
            user_id = principal.user_id
    except Problem as refused:
        connection.send(problem(refused))
        return
    if message.hold_secret is not None and not hub.identify_guest(connection, hash_secret(message.hold_secret)):
        connection.send(error("too_many_secrets", "This connection follows too many holds."))
        return
    connection.send(encoded({"type": "authenticated", "user_id": user_id, "guest": message.hold_secret is not None}))
