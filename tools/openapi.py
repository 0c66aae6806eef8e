"""The HTTP API of all services in one OpenAPI document on standard output, for the web client's types: `make api`.

Two services may give the same name to different shapes, so each shape carries its service's: `CatalogMovieCard`.
"""

import importlib
import json
import os
import re
from typing import Any

SERVICES = ("identity", "catalog", "inventory", "booking", "payment", "notifier", "realtime")
SCHEMAS = "#/components/schemas/"
# What a service must be told before it can be imported; none of it is used, nothing is connected to.
UNUSED = {
    **{name: "http://unused" for name in ("JWKS_URL", "PUBLIC_URL", "STRIPE_JS_URL")},
    **{name: "unused-unused-unused-unused-unused" for name in ("LINK_KEY", "TOTP_KEY")},
    **{"MONGO_URI": "mongodb://unused", "RABBITMQ_URI": "amqp://unused", "SMTP_HOST": "unused", "MAIL_FROM": "a@b.example"},
    **{"STRIPE_SECRET_KEY": "sk_test_unused", "STRIPE_PUBLISHABLE_KEY": "pk_test_unused", "STRIPE_WEBHOOK_SECRET": "unused"},
}


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


if __name__ == "__main__":
    os.environ.update(UNUSED)
    print(json.dumps(all_in_one(), indent=1))
