"""The passwords of the servers' users, made once for each data folder."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from pathlib import Path

from launcher.ports import SERVICES

FILE = "passwords.json"
MONGO_KEY = "mongo.key"
NAMES = ("MONGO_PASSWORD", "RABBITMQ_PASSWORD", *(f"{service.upper()}_PASSWORD" for service in SERVICES))
"""The operator's on each server, and for each service's user one on both."""


def passwords(data: Path) -> dict[str, str]:
    """Return the passwords that `save` has stored in the data folder, else new ones."""
    path = data / FILE
    return json.loads(path.read_text()) if path.exists() else {name: secrets.token_urlsafe(24) for name in NAMES}


def save(data: Path, environment: Mapping[str, str]) -> None:
    """Store the passwords of the environment, and a key for MongoDB, which needs one for authorization."""
    _write(data / FILE, json.dumps({name: environment[name] for name in NAMES}))
    if not (data / MONGO_KEY).exists():
        _write(data / MONGO_KEY, secrets.token_hex(64))


def _write(path: Path, text: str) -> None:
    path.touch(0o600)
    path.write_text(text)
