"""Prepare databases for this version of the code: `python -m chassis.migrate booking [expand|contract|status]`.

Run `expand` before the new version starts and `contract` when the old one is gone. Several services can be named.
(docs/runbooks/upgrade.md)
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from typing import Any

from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError

from chassis.mongo import migrations
from chassis.mongo.connection import wait_until_writable
from chassis.settings import ServiceSettings

ACTIONS = {"expand": migrations.expand, "contract": migrations.contract, "status": migrations.status}


async def migrate(services: Sequence[str], action: str) -> None:
    """Run the action for one service after the other and print the changes."""
    for service in services:
        schema: migrations.Schema = import_module(f"{service}.migrations").SCHEMA
        settings = ServiceSettings(service=service)
        # No time limit: building an index of a large collection may take long.
        async with AsyncMongoClient[dict[str, Any]](
            settings.mongo_uri, tz_aware=True, appname="usher-migrate", w="majority", journal=True
        ) as client:
            await wait_until_writable(client)
            await ACTIONS[action](client[settings.database], schema, partial(_print, service))
        if action != "status":
            _print(service, f"{action} done")


def _print(service: str, line: str) -> None:
    sys.stdout.write(f"{service}: {line}\n")
    sys.stdout.flush()


def main() -> None:
    """Parse the command line and run the action. If it fails, print one line to stderr and exit with status 1."""
    parser = argparse.ArgumentParser(
        prog="python -m chassis.migrate", usage="%(prog)s SERVICE … [expand|contract|status]"
    )
    parser.add_argument("words", nargs="+")
    services: list[str] = parser.parse_args().words
    action = services.pop() if services[-1] in ACTIONS else "expand"
    if not services:
        parser.error("name a service")
    try:
        asyncio.run(migrate(services, action))
    except (PyMongoError, TimeoutError, migrations.DatabaseBehind, migrations.LeaseLost) as error:
        sys.exit(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
