"""Tickets in wallets: signed passes that change in place on Apple devices, and Google's link."""

import asyncio
import hashlib
import io
import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import httpx
import jwt
import pytest
from booking import documents
from booking.settings import Settings
from booking.store.wallets import MAX_DEVICES
from chassis.clock import now
from chassis.testing import until
from contracts.catalog import ShowtimeCancelled
from pydantic import ValidationError

from . import examples, wallet
from .conftest import KEYS, Customer, problem
from .test_documents import bought

FACTS = wallet.settings_of("https://push.example")


async def unpacked(content: bytes, folder: Path) -> dict[str, Any]:
    """The content of a pass, after a check of its sums and, by openssl, its signature."""
    with ZipFile(io.BytesIO(content)) as archive:
        archive.extractall(folder)
    sums = json.loads((folder / "manifest.json").read_text())
    assert {"pass.json", "icon.png", "icon@2x.png"} <= sums.keys()
    for name, sha1 in sums.items():
        assert hashlib.sha1((folder / name).read_bytes(), usedforsecurity=False).hexdigest() == sha1
    (folder / "ca.pem").write_text(wallet.AUTHORITY.pem)
    command = (
        "openssl smime -verify -binary -inform DER -in signature -content manifest.json -CAfile ca.pem -purpose any"
    )
    openssl = await asyncio.create_subprocess_exec(*command.split(), cwd=folder, stdout=-3, stderr=-1)
    _, said = await openssl.communicate()
    assert openssl.returncode == 0, said.decode()
    return json.loads((folder / "pass.json").read_text())


async def passes(customer: Customer, folder: Path) -> list[dict[str, Any]]:
    """The passes of a customer's booking."""
    answer = await customer.client.get(f"/api/bookings/{customer.id}/passes.pkpasses", headers=customer.headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/vnd.apple.pkpasses"
    with ZipFile(io.BytesIO(answer.content)) as archive:
        return [await unpacked(archive.read(name), folder / name) for name in archive.namelist()]


class Device:
    """An Apple device that has a pass and talks to the pass's web service."""

    def __init__(self, client: httpx.AsyncClient, content: dict[str, Any], name: str, push_token: str) -> None:
        self.client, self.serial, self.push_token = client, content["serialNumber"], push_token
        self.headers = {"Authorization": f"ApplePass {content['authenticationToken']}"}
        self.base = "/api/wallet/v1"
        self.passes = f"{self.base}/devices/{name}/registrations/{wallet.PASS_TYPE}"

    async def register(self, **changes: Any) -> httpx.Response:
        body = {"pushToken": self.push_token}
        return await self.client.post(f"{self.passes}/{self.serial}", json=body, headers=self.headers | changes)

    async def changed(self, since: str | None = None) -> dict[str, Any] | None:
        answer = await self.client.get(self.passes, params={"passesUpdatedSince": since} if since else {})
        assert answer.status_code in {200, 204}
        return answer.json() if answer.status_code == 200 else None

    async def latest(self, folder: Path) -> dict[str, Any]:
        answer = await self.client.get(f"{self.base}/passes/{wallet.PASS_TYPE}/{self.serial}", headers=self.headers)
        assert answer.status_code == 200, answer.text
        assert answer.headers["last-modified"]
        return await unpacked(answer.content, folder)


async def test_a_pass_is_signed_and_says_what_the_door_needs(customer, tmp_path):
    await customer.buy_tickets()
    booking = await customer.get_booking()
    found = await passes(customer, tmp_path)
    assert [each["barcodes"][0]["message"] for each in found] == [ticket["qr"] for ticket in booking["tickets"]]
    first = found[0]
    assert (first["passTypeIdentifier"], first["teamIdentifier"]) == (wallet.PASS_TYPE, wallet.TEAM)
    assert first["serialNumber"] == booking["tickets"][0]["ticket_id"]
    assert (first["voided"], first["barcodes"][0]["altText"]) == (False, booking["reference"])
    fields = first["eventTicket"]
    assert fields["primaryFields"][0]["value"] == "Metropolis"
    assert [(each["label"], each["value"]) for each in fields["auxiliaryFields"]] == [("Row", "F"), ("Seat", "7")]
    assert fields["secondaryFields"][0]["value"].endswith(("+01:00", "+02:00")), "the theater's time"


async def test_a_pass_changes_in_place(client, customer, bus, pushes, tmp_path):
    await customer.buy_tickets()
    first, second = await passes(customer, tmp_path / "bought")
    mine = Device(client, first, "phone1", "aa11" + customer.id[-8:])
    gone = Device(client, second, "phone2", customer.id[-8:] + wallet.GONE)
    others = Device(client, second, "phone5", customer.id[-8:] + wallet.OTHERS)
    assert [(await each.register()).status_code for each in (mine, mine, gone, others)] == [201, 200, 201, 201]
    known = await mine.changed()
    assert known
    assert known["serialNumbers"] == [mine.serial]
    assert await mine.changed(known["lastUpdated"]) is None

    async def told(device: Device) -> list[dict[str, str]]:
        return [each for each in pushes.told if each[":path"] == f"/3/device/{device.push_token}"]

    starts_at = now() + timedelta(days=2)
    await bus.publish(examples.rescheduled(customer.showtime_id, starts_at))
    [notice] = await until(lambda: told(mine))
    assert (notice["apns-topic"], notice[":method"]) == (wallet.PASS_TYPE, "POST")
    moved = await mine.changed(known["lastUpdated"])
    assert moved
    latest = await mine.latest(tmp_path / "moved")
    assert datetime.fromisoformat(latest["relevantDate"]) == starts_at.replace(microsecond=0)
    assert latest["eventTicket"]["secondaryFields"][0]["value"] != first["eventTicket"]["secondaryFields"][0]["value"]
    assert not latest["voided"]

    async def is_forgotten() -> bool:
        return await gone.changed() is None and await others.changed() is None

    await until(is_forgotten)
    await bus.publish(ShowtimeCancelled(showtime_id=customer.showtime_id, reason="other"))

    async def told_twice() -> bool:
        return len(await told(mine)) == 2

    await until(told_twice)
    void = await mine.latest(tmp_path / "void")
    assert (void["voided"], void["barcodes"]) == (True, [])
    assert len(await told(gone)) == 1, "a device without passes is not told again"
    removed = await client.delete(f"{mine.passes}/{mine.serial}", headers=mine.headers)
    assert removed.status_code == 200
    assert await mine.changed() is None


async def test_the_pass_of_a_cancelled_ticket_is_void(client, customer, pushes, tmp_path):
    await customer.buy_tickets()
    first, second = await passes(customer, tmp_path / "bought")
    mine, other = Device(client, first, "phone4", "cc33"), Device(client, second, "phone4", "cc33")
    for each in (mine, other):
        assert (await each.register()).status_code == 201
    known = await mine.changed()
    path = f"/api/bookings/{customer.id}"
    chosen = {"ticket_ids": [mine.serial]}
    quote = (await client.post(f"{path}/cancellation-quote", json=chosen, headers=customer.headers)).json()
    body = {"quote_id": quote["quote_id"]}
    assert (await client.post(f"{path}/cancel", json=body, headers=customer.headers)).status_code == 200
    assert known

    async def is_changed() -> bool:
        changed = await mine.changed(known["lastUpdated"])
        return changed is not None and mine.serial in changed["serialNumbers"]

    await until(is_changed)
    void, valid = await mine.latest(tmp_path / "void"), await other.latest(tmp_path / "valid")
    assert (void["voided"], void["barcodes"], valid["voided"]) == (True, [], False)
    assert [each["serialNumber"] for each in await passes(customer, tmp_path / "left")] == [other.serial]


async def test_a_pass_is_on_a_limited_number_of_devices(client, customer, tmp_path):
    await customer.buy_tickets()
    first, second = await passes(customer, tmp_path)
    devices = [Device(client, first, f"{customer.id}-{number}", "dd44") for number in range(MAX_DEVICES + 1)]
    answers = [await device.register() for device in devices]
    assert [answer.status_code for answer in answers[:-1]] == [201] * MAX_DEVICES
    assert problem(answers[-1]) == (409, "too_many_devices")
    assert (await devices[0].register()).status_code == 200, "a known device may send its token again"
    assert (await Device(client, second, f"{customer.id}-0", "dd44").register()).status_code == 201


async def test_strangers_learn_and_change_nothing(client, customer, tmp_path):
    await customer.buy_tickets()
    first, second = await passes(customer, tmp_path)
    device = Device(client, first, "phone3", "bb22")
    for wrong in ("", "ApplePass", "ApplePass x", f"Bearer {first['authenticationToken']}",
                  f"ApplePass {second['authenticationToken']}", b"ApplePass \xe9"):  # fmt: skip
        assert problem(await device.register(Authorization=wrong)) == (401, "unauthenticated")
        for call in (
            client.delete(f"{device.passes}/{device.serial}", headers={"Authorization": wrong}),
            client.get(f"{device.base}/passes/{wallet.PASS_TYPE}/{device.serial}", headers={"Authorization": wrong}),
        ):
            assert problem(await call) == (401, "unauthenticated")
    other = f"{device.base}/passes/pass.other/{device.serial}"
    assert problem(await client.get(other, headers=device.headers)) == (404, "document_unavailable")
    assert (await client.get(device.passes, params={"passesUpdatedSince": "yesterday"})).status_code == 422
    bad = await client.post(f"{device.passes}/{device.serial}", json={"pushToken": "../x"}, headers=device.headers)
    assert bad.status_code == 422
    assert (await client.post(f"{device.base}/log", json={"logs": ["x"]})).status_code == 200
    assert (await client.post(f"{device.base}/log", json={"logs": ["x" * 3000]})).status_code == 422


async def test_googles_link_has_the_tickets(client, customer):
    await customer.buy_tickets()
    booking = await customer.get_booking()
    answer = await client.get(f"/api/bookings/{customer.id}/google-wallet", headers=customer.headers)
    address = answer.json()["url"]
    assert address.startswith("https://pay.google.com/gp/v/save/")
    claims = jwt.decode(
        address.rpartition("/")[2], wallet.SERVER.key.public_key(), algorithms=["RS256"], audience="google"
    )
    assert (claims["iss"], claims["typ"]) == (wallet.ACCOUNT, "savetowallet")
    [event] = claims["payload"]["eventTicketClasses"]
    assert event["eventName"]["defaultValue"] == {"language": "en", "value": "Metropolis"}
    tickets = claims["payload"]["eventTicketObjects"]
    assert [each["barcode"]["value"] for each in tickets] == [ticket["qr"] for ticket in booking["tickets"]]
    assert {each["classId"] for each in tickets} == {event["id"]}


def test_without_certificates_there_are_no_passes(monkeypatch):
    for name, value in (FACTS | KEYS).items():
        monkeypatch.setenv(name, value if name in KEYS else "")
    bare = Settings()  # pyright: ignore[reportCallIssue]
    assert documents.documents_of(bought(), bare) == ["tickets", "receipt", "calendar"]
    assert documents.new_apple_wallet(bare) is None


@pytest.mark.parametrize("missing", ["APPLE_PASS_KEY", "APPLE_ISSUER_CERTIFICATE", "GOOGLE_WALLET_ACCOUNT"])
def test_half_of_the_settings_are_refused(monkeypatch, missing):
    for name, value in (FACTS | KEYS | {missing: ""}).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError, match=f"needs .*{missing}"):
        Settings()  # pyright: ignore[reportCallIssue]
