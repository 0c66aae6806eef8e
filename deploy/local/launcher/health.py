"""When is a process ready? One check for each kind, asked again until it says yes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

import httpx
from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from launcher.ports import LOOPBACK, SERVICES

READY_SECONDS = 90.0
PAUSE_SECONDS = 0.1
ALREADY_INITIALIZED = 23


class NotReadyError(Exception):
    """The process `name` has ended or is not ready in time; the text says so."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(problem)
        self.name = name


def wait_until_ready(
    name: str, environment: Mapping[str, str], fallen: Callable[[], list[str]], given_up: threading.Event
) -> float:
    """Waits for the process; answers how many seconds that took.

    Raises NotReadyError when the time is over, when `fallen` names a process that has ended (this one or another), or
    when `given_up` is set meanwhile.
    """
    began = time.monotonic()
    while True:
        ended = fallen()
        answer = _check(name, environment)
        seconds = time.monotonic() - began
        if ended:
            raise NotReadyError(ended[0], f"{ended[0]} has ended")
        if not answer:
            return seconds
        if seconds > READY_SECONDS or given_up.wait(PAUSE_SECONDS):
            raise NotReadyError(name, f"{name} is not ready after {seconds:.0f} s: {answer}")


def _check(name: str, environment: Mapping[str, str]) -> str:
    """Nothing when the process is ready, else what it says."""
    kind = name.partition(".")[0]
    if kind == "mongo":
        return _mongo(f"{LOOPBACK}:{environment['MONGO_PORT']}")
    if kind in SERVICES:
        return _http(environment[f"{kind.upper()}_PORT"], "/readyz")
    if kind == "rabbitmq":
        return _http(environment["RABBITMQ_MANAGEMENT_PORT"], "/api/overview", environment["RABBITMQ_PASSWORD"])
    variables = {"mailbox": "MAILBOX_PORT", "stripe": "STRIPE_SANDBOX_PORT", "gateway": "GATEWAY_PORT"}
    return _http(environment[variables[kind]], "/healthz")


def _http(port: str, path: str, password: str = "") -> str:
    try:
        answer = httpx.get(
            f"http://{LOOPBACK}:{port}{path}",
            auth=("usher", password) if password else None,
            trust_env=False,
            timeout=5,
        )
    except httpx.HTTPError as error:
        return str(error)
    return "" if answer.is_success else f"{answer.status_code} {answer.text[:300]}"


def _mongo(address: str) -> str:
    """Makes the server a replica set of its own, which it needs only once, and waits until it takes writes."""
    client: MongoClient[dict[str, object]] = MongoClient(
        f"mongodb://{address}/?directConnection=true", serverSelectionTimeoutMS=200
    )
    with client:
        try:
            if client.admin.command("hello").get("isWritablePrimary"):
                return ""
            _form_replica_set(client, address)
        except PyMongoError as error:
            return str(error)
    return "it has not become primary yet"


def _form_replica_set(client: MongoClient[dict[str, object]], address: str) -> None:
    members = [{"_id": 0, "host": address}]
    try:
        client.admin.command("replSetInitiate", {"_id": "usher", "members": members})
    except OperationFailure as failure:
        if failure.code != ALREADY_INITIALIZED:
            raise
        config = client.admin.command("replSetGetConfig")["config"]
        if config["members"][0]["host"] != address:  # MONGO_PORT has been changed since
            config.update(members=members, version=config["version"] + 1)
            client.admin.command("replSetReconfig", config, force=True)
