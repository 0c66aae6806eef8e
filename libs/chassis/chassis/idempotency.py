"""`Idempotency-Key`: a write that a client repeats is carried out once.

The same key with the same body gives the same answer again, with another body 422, while the first is still running
409. Keys are remembered for a day, per caller, method and path. (IETF draft "The Idempotency-Key HTTP Header Field";
Stripe's API.)

The key itself is never stored, and what is stored can be read only with it: a body may hold a password, an answer a
token or a guest's secret.

Problem (contracts.errors)
├── KeyInvalid       422
├── KeyReused        422
└── StillRunning     409
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from contracts.errors import Problem
from cryptography.fernet import Fernet
from pymongo import IndexModel
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import DuplicateKeyError
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chassis.auth import TokenInvalid
from chassis.clock import now
from chassis.problems import response
from chassis.secrets import hash_secret

HEADER = "Idempotency-Key"
WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
MIN_KEY, MAX_KEY = 16, 255
REMEMBERED = timedelta(days=1)
LOCK = timedelta(seconds=60)
INDEX = IndexModel("expires_at", expireAfterSeconds=0)


class KeyInvalid(Problem):
    code, status = "idempotency_key_invalid", 422
    title = f"An Idempotency-Key has {MIN_KEY} to {MAX_KEY} characters; a UUID is a good one."


class KeyReused(Problem):
    code, status, title = "idempotency_key_reused", 422, "This Idempotency-Key came with another request before."


class StillRunning(Problem):
    code, status, title = "idempotency_key_running", 409, "The first request with this Idempotency-Key is running."


class Idempotency:
    """ASGI middleware. The collection is there only once the service has started: `app.state.idempotency_keys`."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        key = Headers(scope=scope).get(HEADER) if scope["type"] == "http" and scope["method"] in WRITES else None
        if key is None:
            await self.app(scope, receive, send)
            return
        try:
            if not MIN_KEY <= len(key) <= MAX_KEY:
                raise KeyInvalid
            await self._once(scope, receive, send, key)
        except Problem as problem:
            await response(problem)(scope, receive, send)

    async def _once(self, scope: Scope, receive: Receive, send: Send, key: str) -> None:
        keys: AsyncCollection[dict[str, Any]] = scope["app"].state.idempotency_keys
        body = await _read(receive)
        identity = f"{await _caller(scope)} {scope['method']} {scope['path']} {key}"
        record_id, fingerprint = hash_secret(identity), hmac.digest(key.encode(), body, "sha256")
        if answer := await _claim(keys, record_id, fingerprint):
            await _replay(answer, _cipher(key), send)
            return
        answered: list[Message] = []

        async def keep(message: Message) -> None:
            answered.append(message)

        try:
            await self.app(scope, _given(body, receive), keep)
        finally:
            # Before it is sent: a client that repeats at once gets the answer, not "still running".
            await _remember(keys, record_id, answered, _cipher(key))
        for message in answered:
            await send(message)


def _cipher(key: str) -> Fernet:
    return Fernet(base64.urlsafe_b64encode(hashlib.sha256(b"answer " + key.encode()).digest()))


async def _read(receive: Receive) -> bytes:
    chunks: list[bytes] = []
    while True:
        message = await receive()
        chunks.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(chunks)


def _given(body: bytes, receive: Receive) -> Receive:
    given = False

    async def receive_given() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_given


async def _caller(scope: Scope) -> str:
    """Who sends the key: two callers never share one, even if they choose the same text."""
    headers = Headers(scope=scope)
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        try:
            return f"user {(await scope['app'].state.verifier.verify(token)).user_id}"
        except TokenInvalid:
            return f"token {hash_secret(token)}"
    return f"guest {hash_secret(headers.get('x-hold-secret', ''))}"


async def _claim(keys: AsyncCollection[dict[str, Any]], record_id: str, fingerprint: bytes) -> Mapping[str, Any] | None:
    """Enter the key as running; returns the earlier answer when there is one. Raises KeyReused and StillRunning."""
    moment = now()
    running = {"fingerprint": fingerprint, "locked_until": moment + LOCK, "expires_at": moment + REMEMBERED}
    try:
        await keys.insert_one({"_id": record_id, **running})
    except DuplicateKeyError:
        known = await keys.find_one({"_id": record_id}) or {}
        if known.get("fingerprint", fingerprint) != fingerprint:
            raise KeyReused from None
        if "status" in known:
            return known
        # The first request's process died: its lock has run out, and whoever moves the lock carries on.
        taken = await keys.update_one(
            {"_id": record_id, "status": {"$exists": False}, "locked_until": {"$lte": moment}}, {"$set": running}
        )
        if not taken.matched_count:
            raise StillRunning(retry_after=1) from None
    return None


async def _remember(
    keys: AsyncCollection[dict[str, Any]], record_id: str, answered: list[Message], cipher: Fernet
) -> None:
    """Keep the answer. A failure of ours is forgotten instead, so that the client can try again."""
    if not answered or answered[0]["status"] >= 500:
        await keys.delete_one({"_id": record_id})
        return
    body = b"".join(message.get("body", b"") for message in answered[1:])
    headers = [(name, value) for name, value in answered[0]["headers"] if name != b"x-correlation-id"]
    await keys.update_one(
        {"_id": record_id},
        {"$set": {"status": answered[0]["status"], "headers": headers, "body": cipher.encrypt(body)}},
    )


async def _replay(answer: Mapping[str, Any], cipher: Fernet, send: Send) -> None:
    start: Message = {
        "type": "http.response.start",
        "status": answer["status"],
        "headers": [(bytes(name), bytes(value)) for name, value in answer["headers"]],
    }
    MutableHeaders(scope=start)["Idempotent-Replayed"] = "true"
    await send(start)
    await send({"type": "http.response.body", "body": cipher.decrypt(answer["body"])})
