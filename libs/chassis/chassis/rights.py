"""Give each service its user in MongoDB and RabbitMQ: `python -m chassis.rights`. (docs/runbooks/production.md)

It needs the operator's MONGO_URI, RABBITMQ_URI and RABBITMQ_MANAGEMENT_URL, and the password of each service's user,
for example BOOKING_PASSWORD. It also declares RabbitMQ's exchanges, queues and bindings. Run it before a new version
starts; it is idempotent and removes nothing. A changed password takes effect with the next run.
"""

import os
import sys
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import unquote, urlsplit

import httpx
from contracts import rabbitmq
from contracts.registry import SERVICES
from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from chassis.settings import Published, ServiceSettings, database_name

EXISTS = frozenset({51002, 51003})
"""MongoDB's error codes for a role and for a user that exists."""
MANAGEMENT_SECONDS = 30.0


class RightsSettings(ServiceSettings):
    """The operator's access to both servers."""

    service: str = "rights"
    rabbitmq_management_url: str
    mongo_key: Annotated[str, Published(("usherlocalmongokey",))] = ""
    """Not used here. It gives all rights in MongoDB, so it must not be the published one."""


def passwords_of(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the passwords of the services' users. Raises KeyError for a missing one."""
    return {service: environment[f"{service.upper()}_PASSWORD"] for service in SERVICES}


def grant_in_mongodb(client: MongoClient[dict[str, Any]], passwords: Mapping[str, str]) -> None:
    """Create or correct a user for each service, with the rights to its own database only.

    Beside reading, writing and indexes, a migration may change the lifetime of an index (`collMod`).
    """
    for service, password in passwords.items():
        database = database_name(service)
        privileges = [{"resource": {"db": database, "collection": ""}, "actions": ["collMod"]}]
        inherited = [{"role": "readWrite", "db": database}]
        _put(client, "Role", database, privileges=privileges, roles=inherited)
        _put(client, "User", service, pwd=password, roles=[database], mechanisms=["SCRAM-SHA-256"])


def _put(client: MongoClient[dict[str, Any]], kind: str, name: str, **content: Any) -> None:
    try:
        client.admin.command(f"create{kind}", name, **content)
    except OperationFailure as failure:
        if failure.code not in EXISTS:
            raise
        client.admin.command(f"update{kind}", name, **content)


def grant_in_rabbitmq(management_url: str, uri: str, passwords: Mapping[str, str]) -> None:
    """Import the definitions with the login of the operator's `uri`. Raises httpx.HTTPError."""
    parts = urlsplit(uri)
    login = unquote(parts.username or ""), unquote(parts.password or "")
    answer = httpx.post(
        f"{management_url.rstrip('/')}/api/definitions",
        json=rabbitmq.definitions({rabbitmq.OPERATOR: login[1], **passwords}),
        auth=login,
        timeout=MANAGEMENT_SECONDS,
    )
    answer.raise_for_status()


def main() -> None:
    """Read the environment and grant the rights. If that fails, print one line to stderr and exit with status 1."""
    settings = RightsSettings()  # pyright: ignore[reportCallIssue] - from the environment
    try:
        passwords = passwords_of(os.environ)
        with MongoClient[dict[str, Any]](settings.mongo_uri, appname="usher-rights") as client:
            grant_in_mongodb(client, passwords)
        grant_in_rabbitmq(settings.rabbitmq_management_url, settings.rabbitmq_uri, passwords)
    except KeyError as missing:
        sys.exit(f"{missing.args[0]} is not set")
    except (PyMongoError, httpx.HTTPError) as error:
        sys.exit(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
