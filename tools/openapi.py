"""Generate the web client's types from the HTTP APIs of all services: `make api`. --check compares them only.

Two services may use the same name for different models, so each name starts with its service: `CatalogMovieCard`.
The digits of currencies that do not have two are written beside the types, as `exponents.json`.
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

from contracts.currencies import EXPONENTS

WEB = Path(__file__).parents[1] / "web"
SERVICES = ("identity", "catalog", "inventory", "booking", "payment", "notifier", "realtime")
SCHEMAS = "#/components/schemas/"
# Settings without which a service cannot be imported. Nothing connects to a server.
UNUSED = dict.fromkeys(
    (
        *("MONGO_URI", "RABBITMQ_URI", "JWKS_URL", "PUBLIC_URL", "SMTP_HOST", "STRIPE_JS_URL"),
        *("LINK_KEY", "TOTP_KEY", "IDENTITY_KEY", "CLAIM_KEY", "ORDER_KEY", "GIFT_CARD_KEY"),
        *("STRIPE_SECRET_KEY", "STRIPE_PUBLISHABLE_KEY", "STRIPE_WEBHOOK_SECRET"),
    ),
    "http://unused.example/unused-unused-unused-unused",
) | {"MAIL_FROM": "unused@unused.example"}


def service_document(service: str) -> dict[str, Any]:
    """Return one service's document, with the service's name before each model's name."""
    text = json.dumps(importlib.import_module(f"{service}.main").app.openapi())
    document = json.loads(re.sub(rf'"{SCHEMAS}([^"]+)"', rf'"{SCHEMAS}{service.capitalize()}\1"', text))
    schemas = document.get("components", {}).get("schemas", {})
    document["components"] = {"schemas": {f"{service.capitalize()}{name}": shape for name, shape in schemas.items()}}
    return document


def all_in_one() -> dict[str, Any]:
    """Return the paths and models of all services, sorted and without operation ids, which two services may share."""
    paths: dict[str, Any] = {}
    schemas: dict[str, Any] = {}
    for service in SERVICES:
        document = service_document(service)
        paths |= document["paths"]
        schemas |= document["components"]["schemas"]
    for operations in paths.values():
        for operation in operations.values():
            operation.pop("operationId", None)
            # Every error is a problem document of one form, which the client defines.
            operation["responses"] = {code: answer for code, answer in operation["responses"].items() if code < "300"}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Usher", "version": "1"},
        "paths": dict(sorted(paths.items())),
        "components": {"schemas": dict(sorted(schemas.items()))},
    }


def types() -> str:
    """Generate the document's TypeScript."""
    with tempfile.TemporaryDirectory() as folder:
        source, made = Path(folder, "openapi.json"), Path(folder, "schema.d.ts")
        source.write_text(json.dumps(all_in_one()))
        command = ["node", "node_modules/openapi-typescript/bin/cli.js", str(source), "--output", str(made)]
        subprocess.run(command, cwd=WEB, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return made.read_text()


def main() -> int:
    """Write the files, or check that they are up to date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the file is out of date")
    parser.add_argument("file", type=Path)
    given = parser.parse_args()
    os.environ.update(UNUSED)
    exponents = json.dumps(dict(sorted(EXPONENTS.items())), indent=2) + "\n"
    texts = {given.file: types(), given.file.with_name("exponents.json"): exponents}
    outdated = [str(file) for file, text in texts.items() if not (file.is_file() and file.read_text() == text)]
    if given.check and outdated:
        print(f"{' and '.join(outdated)}: out of date, run make api", file=sys.stderr)
        return 1
    for file, text in texts.items():
        if not given.check:
            file.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
