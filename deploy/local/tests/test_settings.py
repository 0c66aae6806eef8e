"""The environment of the processes."""

from __future__ import annotations

from pathlib import Path

import pytest
from dotenv import dotenv_values
from launcher import settings
from launcher.ports import DEFAULTS, free_ports
from launcher.settings import GATEWAY_LIMITS, ROOT, SETTINGS, given_settings, platform_environment


@pytest.fixture
def env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / ".env"
    monkeypatch.setattr(settings, "ENV_FILE", file)
    return file


def test_the_shell_overrides_the_file_and_empty_is_unset(env_file: Path, monkeypatch: pytest.MonkeyPatch):
    env_file.write_text("GATEWAY_PORT=9000\nLOG_LEVEL=DEBUG\nSTRIPE_SECRET_KEY=\nOTHER=reaches the services too\n")
    monkeypatch.setenv("GATEWAY_PORT", "9001")
    monkeypatch.setenv("INVENTORY_REPLICAS", "2")
    expected = {
        "GATEWAY_PORT": "9001",
        "LOG_LEVEL": "DEBUG",
        "OTHER": "reaches the services too",
        "INVENTORY_REPLICAS": "2",
    }
    assert given_settings() == expected


def test_without_keys_payments_go_to_the_sandbox():
    environment = platform_environment(DEFAULTS, Path("/data"), {})
    assert environment["STRIPE_API_BASE"] == "http://127.0.0.1:8112"
    assert environment["STRIPE_JS_URL"] == "http://127.0.0.1:8112/v3/"
    assert environment["GATEWAY_STRIPE_ORIGINS"] == "http://127.0.0.1:8112"


def test_with_a_secret_key_they_go_to_stripe():
    environment = platform_environment(DEFAULTS, Path("/data"), {"STRIPE_SECRET_KEY": "sk_test_mine"})
    assert environment["STRIPE_SECRET_KEY"] == "sk_test_mine"
    assert environment["STRIPE_API_BASE"] == "https://api.stripe.com"
    assert "https://js.stripe.com" in environment["GATEWAY_STRIPE_ORIGINS"].split()


def test_two_platforms_never_mix(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MONGO_URI", "mongodb://somewhere.else/")
    monkeypatch.setenv("STRIPE_SECRET_KEY", "sk_live_do_not_use")
    monkeypatch.setenv("CORS_ORIGINS", '["https://other.example"]')
    ports = free_ports()
    environment = platform_environment(ports, Path("/data"), {})
    assert environment["MONGO_URI"].endswith(f"@127.0.0.1:{ports['MONGO_PORT']}/?replicaSet=usher")
    assert environment["STRIPE_SECRET_KEY"] == "sk_test_usher"
    assert "CORS_ORIGINS" not in environment


def test_the_example_file_names_every_setting_with_its_default():
    example = ROOT / ".env.example"
    assert all(name in example.read_text() for name in SETTINGS)
    shown = dotenv_values(example)
    assert {name: shown[name] for name in DEFAULTS} == {name: str(port) for name, port in DEFAULTS.items()}
    assert {name: shown[name] for name in GATEWAY_LIMITS} == GATEWAY_LIMITS
    own = platform_environment(DEFAULTS, Path("/data"), {})
    assert {name: value for name, value in shown.items() if name in own and own[name] != value} == {}
