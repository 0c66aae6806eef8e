"""`Idempotency-Key`: run a write once even if the client repeats the request.

The same key with the same body returns the first response again. With another body the answer is 422; while the first
request is running, 409. Keys are remembered for a day, per caller, origin, method and path. (IETF draft "The
Idempotency-Key HTTP Header Field"; Stripe's API.)

A running request holds a lease on its key. The lease lasts five seconds and is renewed while the process lives. When
the process dies, the next attempt takes over the lease and runs the request again, which the handler's guarded writes
make safe. Lease times come from MongoDB's clock, so replicas agree. (docs/adr/0033-time-limits-and-leases.md)

Nothing may distinguish callers that have neither a token nor a hold's secret, and the response may contain a new
guest's secret. So the key must be 128 random bits: nobody can guess it, and it stays the same when the client's
address changes between two attempts.

The key is not stored, and the stored response is encrypted with it, because a response may contain a token or a guest's
secret. Of the request's body only an HMAC is stored. A response that sets a cookie is not stored: the repeated request
runs again.

Problem (contracts.errors)
├── KeyInvalid       422
│   └── KeyGuessable 422
├── KeyReused        422
└── StillRunning     409
"""

import asyncio
import base64
import hashlib
import hmac
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pymongo
import structlog
from contracts.errors import Problem
from cryptography.fernet import Fernet
from pymongo import IndexModel
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import DuplicateKeyError, PyMongoError
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chassis.clock import now
from chassis.http.problems import response
from chassis.ids import new_id
from chassis.security.auth import TokenInvalid
from chassis.security.secrets import hash_secret

log = structlog.get_logger()
HEADER = "Idempotency-Key"
WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
MIN_KEY, MAX_KEY = 16, 255
RANDOM = re.compile(r"[0-9a-f]{8}(-?)[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{12}", re.IGNORECASE)
MIN_DIGITS = 7
"""Different digits of a random key. A number that a program counts has fewer, a random one almost never."""
REMEMBERED = timedelta(days=1)
LEASE_S = 5.0
RENEW_S = LEASE_S / 3
"""Interval of the renewals. A request that ends earlier never renews its lease."""
STORE_S, RELEASE_S = 2.0, 0.5
"""Time limits for the last write of a request. A lease that is not released expires soon."""
INDEX = IndexModel("expires_at", expireAfterSeconds=0)
CLEAR = {"headers": {"$exists": True}}
"""Matches the records of releases before 2026-12, which stored headers in the clear."""
_CORRELATION = b"x-correlation-id"


class KeyInvalid(Problem):
    code, status = "idempotency_key_invalid", 422
    title = f"An Idempotency-Key has {MIN_KEY} to {MAX_KEY} characters. Use a UUID, for example."


class KeyGuessable(KeyInvalid):
    title = "Without a sign-in, an Idempotency-Key must be a random UUID or 32 random hex digits: nobody may guess it."


class KeyReused(Problem):
    code, status = "idempotency_key_reused", 422
    title = "This Idempotency-Key was already used with a different request."


class StillRunning(Problem):
    code, status = "idempotency_key_running", 409
    title = "The first request with this Idempotency-Key is still running."


class Idempotency:
    """ASGI middleware. Its collection is `app.state.idempotency_keys`, which is set when the service starts."""

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
        body = await _read(receive)
        if _is_anonymous(scope) and not _is_random(key):
            raise KeyGuessable
        identity = f"{await _caller(scope)} {scope['method']} {scope['path']} {key}"
        fingerprint, cipher = hmac.digest(key.encode(), body, "sha256"), _cipher(key)
        lease = _Lease(scope["app"].state.idempotency_keys, hash_secret(identity))
        if answer := await lease.take(fingerprint):
            await _replay(answer, cipher, send)
            return
        answered: list[Message] = []

        async def keep(message: Message) -> None:
            answered.append(message)

        try:
            with lease.renewed():
                await self.app(scope, _given(body, receive), keep)
        finally:
            if not _is_final(answered):
                await lease.release()
        # Stored before it is sent, so that a client that repeats at once gets the response and not "still running".
        if _is_final(answered) and not await lease.store(answered, cipher):
            # Another attempt took over the lease. One key has one response, so return that of the other attempt.
            await _replay(await lease.others_answer(), cipher, send)
            return
        for message in answered:
            await send(message)


class _Lease:
    """The right to run the request of a key. MongoDB's clock decides whether it has expired."""

    def __init__(self, keys: AsyncCollection[dict[str, Any]], record_id: str) -> None:
        self._keys, self._id, self._owner = keys, record_id, new_id()
        self._mine = {"_id": record_id, "owner": self._owner}
        self._certain_until = 0.0
        self._renewing: asyncio.Task[None] | None = None

    async def take(self, fingerprint: bytes) -> Mapping[str, Any] | None:
        """Take the lease. Returns the earlier response if there is one. Raises KeyReused and StillRunning."""
        self._is_held_from(asyncio.get_running_loop().time())
        record = {"fingerprint": fingerprint, "expires_at": now() + REMEMBERED}
        try:
            # Always inserts, because no record has this owner. Only an update can use MongoDB's clock ($currentDate).
            await self._keys.update_one(self._mine, {"$setOnInsert": record, **_RENEWAL}, upsert=True)
        except DuplicateKeyError:
            known = await self._known()
        else:
            return None
        if known.get("fingerprint", fingerprint) != fingerprint:
            raise KeyReused
        if "status" in known:
            return known
        if not known or known["left_ms"] > 0:
            raise _running(known)
        return await self._take_over(known)

    async def _take_over(self, known: Mapping[str, Any]) -> None:
        """Take over an expired lease. Raises StillRunning when another attempt was faster or the owner still runs."""
        self._is_held_from(asyncio.get_running_loop().time())
        change = {"$set": {"owner": self._owner, "expires_at": now() + REMEMBERED}, **_RENEWAL}
        taken = await self._keys.update_one({"_id": self._id, **unchanged(known)}, change)
        if not taken.matched_count:
            raise StillRunning(retry_after=math.ceil(LEASE_S))
        log.info("idempotency_lease_taken_over")

    @contextmanager
    def renewed(self) -> Iterator[None]:
        """Renew the lease periodically inside the block."""

        def begin() -> None:
            self._renewing = asyncio.create_task(self._renew())

        timer = asyncio.get_running_loop().call_later(RENEW_S, begin)
        try:
            yield
        finally:
            timer.cancel()
            if self._renewing:
                self._renewing.cancel()

    async def _renew(self) -> None:
        while True:
            sent_at = asyncio.get_running_loop().time()
            try:
                with pymongo.timeout(RENEW_S):
                    renewed = await self._keys.update_one(self._mine, _RENEWAL)
            except PyMongoError as error:
                log.warning("idempotency_lease_not_renewed", reason=type(error).__name__)
            else:
                if not renewed.matched_count:
                    log.warning("idempotency_lease_lost")
                    return
                self._is_held_from(sent_at)
            await asyncio.sleep(RENEW_S)

    def _is_held_from(self, loop_time: float) -> None:
        self._certain_until = loop_time + LEASE_S

    async def store(self, answered: list[Message], cipher: Fernet) -> bool:
        """Store the response. Returns False when another attempt took over the lease.

        If MongoDB fails while the lease cannot have expired yet, the response is still sent to the client, and a later
        attempt runs the request again. Raises PyMongoError if the lease may have expired.
        """
        body = b"".join(message.get("body", b"") for message in answered[1:])
        answer = {"status": answered[0]["status"], "answer": cipher.encrypt(_pack(answered[0]["headers"], body))}
        try:
            with pymongo.timeout(STORE_S):
                stored = await self._keys.update_one(self._mine, {"$set": answer})
        except PyMongoError as error:
            if asyncio.get_running_loop().time() >= self._certain_until:
                raise
            log.warning("idempotent_answer_not_stored", reason=type(error).__name__)
            return True
        return stored.matched_count > 0

    async def release(self) -> None:
        """Delete the key, so that the client can retry at once. If that fails, it can retry when the lease expires."""
        try:
            with pymongo.timeout(RELEASE_S):
                await self._keys.delete_one(self._mine)
        except PyMongoError as error:
            log.warning("idempotency_lease_not_released", reason=type(error).__name__)

    async def others_answer(self) -> Mapping[str, Any]:
        """Return the response of the attempt that took over the lease. Raises StillRunning while there is none."""
        known = await self._known()
        if "status" not in known:
            raise _running(known)
        return known

    async def _known(self) -> dict[str, Any]:
        """Return the key's record with the milliseconds left of its lease, or an empty dict."""
        return await self._keys.find_one({"_id": self._id}, _KNOWN) or {}


_RENEWAL = {"$currentDate": {"renewed_at": True}}
_KNOWN = {
    **dict.fromkeys(("fingerprint", "owner", "renewed_at", "status", "answer"), 1),
    "left_ms": {"$subtract": [{"$add": ["$renewed_at", round(LEASE_S * 1000)]}, "$$NOW"]},
}


def unchanged(known: Mapping[str, Any]) -> dict[str, Any]:
    """Return a filter that matches if the record was not renewed, taken over, released or answered since."""
    return {"owner": known.get("owner"), "renewed_at": known.get("renewed_at"), "status": {"$exists": False}}


def _running(known: Mapping[str, Any]) -> StillRunning:
    return StillRunning(retry_after=max(1, math.ceil(known.get("left_ms", 0) / 1000)))


def _is_final(answered: list[Message]) -> bool:
    """Whether a repeated request gets the same response: not after a 5xx or `Retry-After`, nor one with a cookie."""
    if not answered or answered[0]["status"] >= 500:
        return False
    return {b"retry-after", b"set-cookie"}.isdisjoint(name for name, _ in answered[0]["headers"])


def _cipher(key: str) -> Fernet:
    return Fernet(base64.urlsafe_b64encode(hashlib.sha256(b"answer " + key.encode()).digest()))


def _pack(headers: Sequence[tuple[bytes, bytes]], body: bytes) -> bytes:
    texts = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers if name != _CORRELATION]
    return json.dumps(texts).encode() + b"\n" + body


def _unpack(packed: bytes) -> tuple[list[tuple[bytes, bytes]], bytes]:
    texts, _, body = packed.partition(b"\n")
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in json.loads(texts)], body


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


def _is_anonymous(scope: Scope) -> bool:
    """Whether the request has neither token nor hold's secret. Cookies do not count: many people may share one."""
    return not any(Headers(scope=scope).get(name) for name in ("authorization", "x-hold-secret"))


def _is_random(key: str) -> bool:
    return RANDOM.fullmatch(key) is not None and len(set(key.lower()) - {"-"}) >= MIN_DIGITS


async def _caller(scope: Scope) -> str:
    """Identify the caller and the page. It is part of the record's id, so callers with the same key do not share it."""
    headers = Headers(scope=scope)
    origin = f"from {headers.get('origin', '')}"
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        try:
            return f"user {(await scope['app'].state.verifier.verify(token)).user_id} {origin}"
        except TokenInvalid:
            return f"token {hash_secret(token)} {origin}"
    secrets = [headers.get("x-hold-secret", ""), *headers.getlist("cookie")]
    return f"guest {hash_secret(json.dumps(secrets))} {origin}"


async def _replay(answer: Mapping[str, Any], cipher: Fernet, send: Send) -> None:
    headers, body = _unpack(cipher.decrypt(answer["answer"]))
    start: Message = {"type": "http.response.start", "status": answer["status"], "headers": headers}
    MutableHeaders(scope=start)["Idempotent-Replayed"] = "true"
    await send(start)
    await send({"type": "http.response.body", "body": body})
