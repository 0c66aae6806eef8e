"""Write a fresh value for each secret that `.env` does not have: `make secrets`.

It needs Python only. It never changes a value: a published one is named, so that a person can remove its line.
"""

from __future__ import annotations

import re
import secrets
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ("identity", "catalog", "inventory", "booking", "payment", "notifier", "realtime")
NAMES = (
    *("LINK_KEY", "TOTP_KEY", "IDENTITY_KEY", "CLAIM_KEY", "ORDER_KEY", "GIFT_CARD_KEY"),
    *("MONGO_KEY", "MONGO_PASSWORD", "RABBITMQ_PASSWORD"),
    *(f"{service.upper()}_PASSWORD" for service in SERVICES),
    "GRAFANA_PASSWORD",
)
LINE = re.compile(r"^\s*(?:export\s+)?([A-Z_]+)\s*=[ \t]*['\"]?([^'\"\s#]*)", re.MULTILINE)
PUBLISHED = re.compile(r"usher-local-.*|usherlocalmongokey|usher|guest")


def write(file: Path) -> None:
    """Append what the file lacks. The file is only for its owner to read."""
    text = file.read_text() if file.exists() else ""
    has = {name: value for name, value in LINE.findall(text) if value}
    missing = [name for name in NAMES if name not in has]
    file.touch(0o600)
    file.chmod(0o600)
    if missing:
        lines = "".join(f"{name}={secrets.token_hex(32)}\n" for name in missing)
        file.write_text(f"{text}{'' if text.endswith(chr(10)) or not text else chr(10)}{lines}")
    print(f"Wrote {len(missing)} fresh secrets to {file.name}.")
    for name in NAMES:
        if PUBLISHED.fullmatch(has.get(name, "")):
            print(f"{name} has its published value; remove the line and run this again for a fresh one.")


if __name__ == "__main__":
    write(ROOT / ".env")
