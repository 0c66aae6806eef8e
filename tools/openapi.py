"""The web client's types, made from the HTTP API of all services: `make api`. --check: are they up to date?

Two services may give the same name to different shapes, so each shape carries its service's: `CatalogMovieCard`.
"""

import argparse
import importlib
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

WEB = Path(__file__).parents[1] / "web"
SERVICES = ("identity", "catalog", "inventory", "booking", "payment", "notifier", "realtime")
SCHEMAS = "#/components/schemas/"
# What a service must be told before it can be imported; nothing is connected to.
UNUSED = dict.fromkeys(
    (
        *("MONGO_URI", "RABBITMQ_URI", "JWKS_URL", "PUBLIC_URL", "LINK_KEY", "TOTP_KEY", "SMTP_HOST", "STRIPE_JS_URL"),
        *("CLAIM_KEY", "ORDER_KEY", "STRIPE_SECRET_KEY", "STRIPE_PUBLISHABLE_KEY", "STRIPE_WEBHOOK_SECRET"),
    ),
    "http://unused.example/unused-unused-unused-unused",
) | {"MAIL_FROM": "unused@unused.example"}


def service_document(service: str) -> dict[str, Any]:
    """One service's document, its shapes' names with the service in front."""
    text = json.dumps(importlib.import_module(f"{service}.main").app.openapi())
    document = json.loads(re.sub(rf'"{SCHEMAS}([^"]+)"', rf'"{SCHEMAS}{service.capitalize()}\1"', text))
    schemas = document.get("components", {}).get("schemas", {})
    document["components"] = {"schemas": {f"{service.capitalize()}{name}": shape for name, shape in schemas.items()}}
    return document


def all_in_one() -> dict[str, Any]:
    """Paths and shapes of all services, sorted. Operation ids go: two services may choose the same."""
    paths: dict[str, Any] = {}
    schemas: dict[str, Any] = {}
    for service in SERVICES:
        document = service_document(service)
        paths |= document["paths"]
        schemas |= document["components"]["schemas"]
    for operations in paths.values():
        for operation in operations.values():
            operation.pop("operationId", None)
            # Every refusal is a problem document of one shape, which the client knows by itself.
            operation["responses"] = {code: answer for code, answer in operation["responses"].items() if code < "300"}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Usher", "version": "1"},
        "paths": dict(sorted(paths.items())),
        "components": {"schemas": dict(sorted(schemas.items()))},
    }


def types() -> str:
    """The TypeScript of the document."""
    with tempfile.TemporaryDirectory() as folder:
        source, made = Path(folder, "openapi.json"), Path(folder, "schema.d.ts")
        source.write_text(json.dumps(all_in_one()))
        command = ["node", "node_modules/openapi-typescript/bin/cli.js", str(source), "--output", str(made)]
        subprocess.run(command, cwd=WEB, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return made.read_text()


def main() -> int:
    """Write the file, or say whether it is as it would be written."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when the file is out of date")
    parser.add_argument("file", type=Path)
    given = parser.parse_args()
    os.environ.update(UNUSED)
    text = types()
    if not given.check:
        given.file.write_text(text)
    elif given.file.read_text() != text:
        print(f"{given.file} is out of date: make api", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
