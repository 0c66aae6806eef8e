"""Who gets which secret, and that none of them is a published one outside this machine."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import Any, get_args

import make_secrets
import pytest
import yaml
from chassis.settings import Published, ServiceSettings, secrets_of
from dotenv import dotenv_values
from launcher.passwords import NAMES
from launcher.ports import DEFAULTS, SERVICES
from launcher.settings import ROOT, SECRETS, platform_environment, process_environment
from pydantic import SecretStr, ValidationError

COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
PRODUCTION = (ROOT / "deploy/compose/production.yml").read_text()
SECRET_NAME = re.compile(r"(_KEY|_KEY_PEM|_SECRET|_PASSWORD|_TOKEN)$")
NOT_SECRET = {"STRIPE_PUBLISHABLE_KEY"}
BY_SERVICE = {service: import_module(f"{service}.settings").Settings for service in SERVICES}
LOCAL = {
    service: process_environment(service, platform_environment(DEFAULTS, Path("/data"), {})) for service in SERVICES
}
MARKS: dict[str, Published] = {name: mark for each in BY_SERVICE.values() for name, mark in secrets_of(each).items()}
KEYS = sorted(MARKS)
SAFE = {"MONGO_URI": "mongodb://a:b@mongo/", "RABBITMQ_URI": "amqp://a:b@rabbitmq/", "PUBLIC_URL": "https://x.example"}


def environment_of(service: str, **own: str) -> dict[str, str]:
    """Return compose's environment of a service with a different value for each secret."""
    secret = dict.fromkeys(secrets_of(BY_SERVICE[service]), "of-my-own-and-not-published")
    return secret | SAFE | own


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Reads a service's settings from an environment."""

    def start(service: str, environment: dict[str, str]) -> ServiceSettings:
        for name in (*KEYS, "PUBLIC_URL"):
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return BY_SERVICE[service]()

    return start


@pytest.mark.parametrize("service", SERVICES)
def test_every_secret_is_marked(service: str):
    marked = secrets_of(BY_SERVICE[service])
    for name, field in BY_SERVICE[service].model_fields.items():
        is_secret = SecretStr in {field.annotation, *get_args(field.annotation)} or SECRET_NAME.search(name.upper())
        if is_secret and name.upper() not in NOT_SECRET:
            assert name.upper() in marked, f"annotate {name} with chassis.settings.Published"


def test_every_published_value_is_refused_outside_this_machine(start: Any):
    """Published is what the compose file has as a default, and what `make run` sets."""
    for service, settings in BY_SERVICE.items():
        start(service, environment_of(service))
        for name in secrets_of(settings):
            for value in filter(None, (published(service, name), LOCAL[service].get(name))):
                if value in {LOCAL[service]["MONGO_URI"], LOCAL[service]["RABBITMQ_URI"]}:
                    continue  # their passwords are made for each data folder
                with pytest.raises(ValidationError, match=rf"{name}: the value is published.*make secrets"):
                    start(service, environment_of(service, **{name: value}))
                start(service, environment_of(service, **{name: value, "PUBLIC_URL": "http://localhost:8080"}))


def published(service: str, name: str) -> str:
    """The value that a service gets from the compose file without a `.env`."""
    return re.sub(r"\$\{[A-Z_]+:-([^}]*)\}", r"\1", COMPOSE[service]["environment"].get(name, ""))


def test_one_published_value_among_others_is_refused(start: Any):
    with pytest.raises(ValidationError, match="CLAIM_KEY"):
        start("inventory", environment_of("inventory", CLAIM_KEY="of-my-own-and-not, usher-local-claim-key"))


@pytest.mark.parametrize("uri", ["amqp://rabbitmq/", "amqps://catalog@rabbitmq:5671/"])
def test_an_amqp_address_without_a_password_implies_a_published_one(start: Any, uri: str):
    with pytest.raises(ValidationError, match="RABBITMQ_URI: the value is published"):
        start("catalog", environment_of("catalog", RABBITMQ_URI=uri))


def test_the_sandboxs_own_webhook_secret_is_published(start: Any):
    with pytest.raises(ValidationError, match="STRIPE_WEBHOOK_SECRET: the value is published"):
        start("payment", environment_of("payment", STRIPE_WEBHOOK_SECRET="whsec_sandbox"))


def test_a_refusal_shows_no_other_secret(start: Any):
    with pytest.raises(ValidationError) as refusal:
        start("booking", environment_of("booking", LINK_KEY="usher-local-link-key", ORDER_KEY="entirely-my-own-order"))
    assert "entirely" not in str(refusal.value)


@pytest.mark.parametrize(
    ("url", "is_local"),
    [
        *(("http://127.0.0.1:8080", True), ("http://localhost", True), ("http://[::1]:8080", True)),
        *(("http://127.1.2.3", True), ("https://usher.example", False), ("http://192.168.0.4", False)),
        *(("http://localhost.example", False), ("", False), ("http://0.0.0.0", False)),
    ],
)
def test_this_machine(url: str, is_local: bool):
    class Settings(ServiceSettings):
        service: str = "toy"

    if is_local:
        Settings(public_url=url, mongo_uri="mongodb://toy:usher-local-password@mongo/")
    else:
        with pytest.raises(ValidationError, match="MONGO_URI, RABBITMQ_URI"):
            Settings(public_url=url, mongo_uri="mongodb://toy:usher-local-password@mongo/")


# ---- Who gets what


def test_the_launcher_knows_the_owners_of_every_secret():
    owners = {key: {each for each in SERVICES if key in secrets_of(BY_SERVICE[each])} for key in KEYS}
    assert {key: set(SECRETS.get(key, ())) & set(SERVICES) for key in KEYS} == owners


@pytest.mark.parametrize("process", [*SERVICES, "mongo", "rabbitmq", "mailbox", "stripe", "gateway"])
def test_a_process_of_make_run_gets_its_own_secrets_only(process: str):
    everything = platform_environment(DEFAULTS, Path("/data"), dict.fromkeys(KEYS, "secret"))
    got = process_environment(process, everything)
    assert {name for name in SECRETS if name in got} == {name for name, owners in SECRETS.items() if process in owners}
    others = {everything[f"{each.upper()}_PASSWORD"] for each in SERVICES if each != process}
    others |= {everything["MONGO_PASSWORD"], everything["RABBITMQ_PASSWORD"]}
    assert not any(secret in value for secret in others for value in got.values())


@pytest.mark.parametrize("service", SERVICES)
def test_a_container_gets_its_own_secrets_only(service: str):
    environment = COMPOSE[service]["environment"]
    secret = {name for name in environment if SECRET_NAME.search(name)} - NOT_SECRET
    assert secret <= set(secrets_of(BY_SERVICE[service]))
    for server in ("MONGO", "RABBITMQ"):
        login = f"//{service}:${{{service.upper()}_PASSWORD:-usher-local-password}}@"
        assert login in environment[f"{server}_URI"]


# ---- make secrets


def test_fresh_secrets_are_written_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = tmp_path / ".env"
    file.write_text("GATEWAY_PORT=9000\nLINK_KEY='my own link key'\nexport ORDER_KEY=\nTOTP_KEY=usher-local-totp-key")
    make_secrets.write(file)
    first = dotenv_values(file)
    assert first["LINK_KEY"] == "my own link key"
    assert first["GATEWAY_PORT"] == "9000"
    assert first["TOTP_KEY"] == "usher-local-totp-key"
    assert "TOTP_KEY" in capsys.readouterr().out
    fresh = [first[name] for name in make_secrets.NAMES if name not in {"LINK_KEY", "TOTP_KEY"}]
    assert all(value and len(value) >= 32 for value in fresh)
    assert len(set(fresh)) == len(fresh)
    assert file.stat().st_mode & 0o077 == 0
    make_secrets.write(file)
    assert dotenv_values(file) == first


def test_every_published_value_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    compose = (ROOT / "docker-compose.yml").read_text()
    published = dict(re.findall(r"\$\{([A-Z_]+):-([^}]+)\}", compose))
    given = {name: published[name] for name in make_secrets.NAMES if name in published} | {"CATALOG_PASSWORD": "guest"}
    file = tmp_path / ".env"
    file.write_text("".join(f"{name}={value}\n" for name, value in given.items()))
    make_secrets.write(file)
    said = capsys.readouterr().out
    assert "MONGO_KEY" in given
    assert [name for name in given if f"{name} has its published value" not in said] == []


def test_every_secret_that_production_asks_for_can_be_made():
    asked = set(re.findall(r"\$\{([A-Z_]+):\?", PRODUCTION))
    assert set(make_secrets.NAMES) <= asked
    assert asked - set(make_secrets.NAMES) == {
        *("PUBLIC_URL", "MAIL_FROM", "SMTP_HOST"),
        *("STRIPE_SECRET_KEY", "STRIPE_PUBLISHABLE_KEY", "STRIPE_WEBHOOK_SECRET"),
    }
    keys = {name for name, mark in MARKS.items() if mark.values} - {"MONGO_URI", "RABBITMQ_URI"}
    assert keys | set(NAMES) <= asked
