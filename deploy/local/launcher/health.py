"""Readiness of processes: one check for each kind, repeated until it succeeds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import httpx
from chassis.rights import grant_in_mongodb, passwords_of
from contracts.rabbitmq import OPERATOR
from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from launcher.ports import LOOPBACK, SERVICES

READY_SECONDS = 90.0
PAUSE_SECONDS = 0.1
ALREADY_INITIALIZED = 23
UNKNOWN_USER = 18
PRIMARY_SOON = "it has not become primary yet"


class NotReadyError(Exception):
    """The process `name` has ended or is not ready in time; the text says which."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(problem)
        self.name = name


def wait_until_ready(
    name: str, environment: Mapping[str, str], exited: Callable[[], list[str]], given_up: threading.Event
) -> float:
    """Wait for the process. Returns how many seconds that took.

    Raises NotReadyError when the time is over, when `exited` names an ended process (this one or another), or when
    `given_up` is set.
    """
    began = time.monotonic()
    while True:
        ended = exited()
        answer = _check(name, environment)
        seconds = time.monotonic() - began
        if ended:
            raise NotReadyError(ended[0], f"{ended[0]} has ended")
        if not answer:
            return seconds
        if seconds > READY_SECONDS or given_up.wait(PAUSE_SECONDS):
            raise NotReadyError(name, f"{name} is not ready after {seconds:.0f} s: {answer}")


def _check(name: str, environment: Mapping[str, str]) -> str:
    """Return nothing if the process is ready, else its answer."""
    kind = name.partition(".")[0]
    if kind == "mongo":
        return _mongo(f"{LOOPBACK}:{environment['MONGO_PORT']}", environment)
    if kind in SERVICES:
        return _http(environment[f"{kind.upper()}_PORT"], "/readyz")
    if kind == "rabbitmq":
        # Its web page answers before it takes connections.
        path = f"/api/health/checks/port-listener/{environment['RABBITMQ_PORT']}"
        return _http(environment["RABBITMQ_MANAGEMENT_PORT"], path, environment["RABBITMQ_PASSWORD"])
    variables = {"mailbox": "MAILBOX_PORT", "stripe": "STRIPE_SANDBOX_PORT", "gateway": "GATEWAY_PORT"}
    return _http(environment[variables[kind]], "/healthz")


def _http(port: str, path: str, password: str = "") -> str:
    try:
        answer = httpx.get(
            f"http://{LOOPBACK}:{port}{path}",
            auth=(OPERATOR, password) if password else None,
            trust_env=False,
            timeout=5,
        )
    except httpx.HTTPError as error:
        return str(error)
    return "" if answer.is_success else f"{answer.status_code} {answer.text[:300]}"


def _mongo(address: str, environment: Mapping[str, str]) -> str:
    """Make the server a replica set and create its users. Return nothing once it accepts writes."""
    try:
        with _client(address, environment["MONGO_PASSWORD"]) as operator:
            if not operator.admin.command("hello").get("isWritablePrimary"):
                _form_replica_set(operator, address)
                return PRIMARY_SOON
            grant_in_mongodb(operator, passwords_of(environment))
            return ""
    except PyMongoError as error:
        if not isinstance(error, OperationFailure) or error.code != UNKNOWN_USER:
            return str(error)
    # It has no user yet. Until it has one, a client of this machine may form the set and create the first user.
    try:
        with _client(address) as anyone:
            if anyone.admin.command("hello").get("isWritablePrimary"):
                anyone.admin.command("createUser", OPERATOR, pwd=environment["MONGO_PASSWORD"], roles=["root"])
                return _mongo(address, environment)
            _form_replica_set(anyone, address)
    except PyMongoError as error:
        return str(error)
    return PRIMARY_SOON


def _client(address: str, password: str = "") -> MongoClient[dict[str, Any]]:
    login = f"{OPERATOR}:{password}@" if password else ""
    return MongoClient(f"mongodb://{login}{address}/?directConnection=true", serverSelectionTimeoutMS=200)


def _form_replica_set(client: MongoClient[dict[str, Any]], address: str) -> None:
    config = {"_id": "usher", "version": 1, "members": [{"_id": 0, "host": address}]}
    try:
        client.admin.command("replSetInitiate", config)
    except OperationFailure as failure:
        if failure.code != ALREADY_INITIALIZED:
            raise
        if client.admin.command("hello").get("setName") is None:  # MONGO_PORT has been changed since
            client.admin.command("replSetReconfig", config, force=True)
