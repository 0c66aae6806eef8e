"""Tickets as passes for Apple Wallet, and notices to devices that a pass has changed.

A pass is a zip file of `pass.json`, pictures, their SHA-1 sums and a detached PKCS#7 signature of the sums. The
certificate names the pass type (UID) and the team (OU): developer.apple.com/documentation/walletpasses.
"""

import hashlib
import hmac
import io
import json
import ssl
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any
from zipfile import ZipFile
from zoneinfo import ZoneInfo

import httpx
from chassis.locales import isolated, money
from contracts.booking import Ticket
from contracts.types import clean_name
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key, pkcs7
from cryptography.x509.oid import NameOID

from booking.documents.languages import label, locale_of, places, texts_of
from booking.model import Booking
from booking.settings import AppleWalletSettings

PASS, PASSES = "application/vnd.apple.pkpass", "application/vnd.apple.pkpasses"
IMAGES = {path.name: path.read_bytes() for path in (Path(__file__).parent / "images").iterdir()}
COLORS = {"backgroundColor": "rgb(124,29,46)", "foregroundColor": "rgb(255,255,255)", "labelColor": "rgb(243,213,219)"}
GONE = 410
NOT_A_DEVICE = ("BadDeviceToken", "DeviceTokenNotForTopic")
"""Apple's reasons for refusing a token that no repetition makes valid."""


class AppleWallet:
    """Makes and signs passes, and tells devices that theirs have changed."""

    def __init__(self, settings: AppleWalletSettings, site: str, secret: str) -> None:
        self._certificate = x509.load_pem_x509_certificate(settings.certificate.encode())
        self._issuer = x509.load_pem_x509_certificate(settings.issuer_certificate.encode())
        key = load_pem_private_key(settings.key.encode(), None)
        assert isinstance(key, RSAPrivateKey | EllipticCurvePrivateKey)  # noqa: S101 - checked with the settings
        self._key = key
        self._settings, self._site, self._secrets = settings, site.rstrip("/"), secret.split(",")
        self.pass_type = _attribute(self._certificate, NameOID.USER_ID)
        self._team = _attribute(self._certificate, NameOID.ORGANIZATIONAL_UNIT_NAME)

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[None]:
        """Lifespan: the connection to Apple's push service, which the pass's certificate authenticates."""
        context = ssl.create_default_context(cadata=self._settings.push_authority or None)
        with NamedTemporaryFile("w", suffix=".pem") as pem:  # the standard library reads certificates only from files
            pem.write(f"{self._settings.key}\n{self._settings.certificate}\n")
            pem.flush()
            context.load_cert_chain(pem.name)
        async with httpx.AsyncClient(
            base_url=self._settings.push_url, http2=True, verify=context, timeout=10
        ) as client:
            self._push = client
            yield

    def token(self, ticket_id: str) -> str:
        """Return the secret with which a pass's device authenticates."""
        return _token(self._secrets[0], ticket_id)

    def is_token(self, token: str, ticket_id: str) -> bool:
        """Whether this is the secret of the ticket's pass, also one from before a rotation of LINK_KEY."""
        return any(hmac.compare_digest(_token(each, ticket_id).encode(), token.encode()) for each in self._secrets)

    def passes(self, booking: Booking, tickets: Iterable[Ticket]) -> bytes:
        """Return one file with the passes of these tickets."""
        return _zipped({f"{ticket.ticket_id}.pkpass": self.one_pass(booking, ticket) for ticket in tickets})

    def one_pass(self, booking: Booking, ticket: Ticket) -> bytes:
        """Return the ticket's signed pass. The ticket contains its QR text."""
        files = IMAGES | {"pass.json": json.dumps(self._content(booking, ticket)).encode()}
        sums = {name: hashlib.sha1(content, usedforsecurity=False).hexdigest() for name, content in files.items()}
        manifest = json.dumps(sums).encode()
        signature = (
            pkcs7.PKCS7SignatureBuilder()
            .set_data(manifest)
            .add_signer(self._certificate, self._key, SHA256())
            .add_certificate(self._issuer)
            .sign(Encoding.DER, [pkcs7.PKCS7Options.DetachedSignature, pkcs7.PKCS7Options.Binary])
        )
        return _zipped(files | {"manifest.json": manifest, "signature": signature})

    async def tell(self, push_token: str) -> bool:
        """Tell a device that a pass has changed; False if it has none any more. Raises httpx.HTTPError."""
        headers = {"apns-topic": self.pass_type, "apns-push-type": "background", "apns-priority": "5"}
        answer = await self._push.post(f"/3/device/{push_token}", content=b"{}", headers=headers)
        if answer.status_code == GONE or any(reason in answer.text for reason in NOT_A_DEVICE):
            return False
        answer.raise_for_status()
        return True

    def _content(self, booking: Booking, ticket: Ticket) -> dict[str, Any]:
        assert booking.screening is not None  # noqa: S101 - bookings with tickets have one
        screening, locale = booking.screening, locale_of(booking)
        texts, zone = texts_of(locale), ZoneInfo(screening.time_zone)
        starts_at = screening.starts_at.astimezone(zone).isoformat(timespec="seconds")
        where = [clean_name(part) for part in (screening.theater_name, screening.auditorium_name)]
        when = {"dateStyle": "PKDateStyleMedium", "timeStyle": "PKDateStyleShort", "ignoresTimeZone": True}
        kind = label(texts["ticket_types"], ticket.ticket_type)
        if booking.amount is not None:
            kind = f"{kind} · {money(ticket.amount, booking.currency or '', locale)}"
        code = {"format": "PKBarcodeFormatQR", "message": ticket.qr, "messageEncoding": "iso-8859-1"}
        is_valid = any(each.ticket_id == ticket.ticket_id for each in booking.valid_tickets)
        return COLORS | {
            "formatVersion": 1,
            "passTypeIdentifier": self.pass_type,
            "teamIdentifier": self._team,
            "serialNumber": ticket.ticket_id,
            "authenticationToken": self.token(ticket.ticket_id),
            "webServiceURL": f"{self._site}/api/wallet",
            "organizationName": where[0],
            "description": f"{texts['kind']}: {clean_name(screening.movie_title)}",
            "relevantDate": starts_at,
            "expirationDate": screening.ends_at.astimezone(zone).isoformat(timespec="seconds"),
            "sharingProhibited": False,
            "voided": not is_valid,
            "barcodes": [code | {"altText": booking.reference or ""}] if is_valid else [],
            "eventTicket": {
                "primaryFields": [_field("movie", where[0], clean_name(screening.movie_title))],
                "secondaryFields": [
                    _field("when", texts["when"], starts_at) | when | {"changeMessage": texts["new_time"]},
                    _field("auditorium", texts["where"], where[1]),
                ],
                "auxiliaryFields": [
                    _field(f"place{index}", name, value)
                    for index, (name, value) in enumerate(places(ticket.seat, texts))
                ],
                "backFields": [
                    _field("kind", texts["kind"], kind),
                    *([_field("reference", texts["reference"], booking.reference)] if booking.reference else []),
                    _field(
                        "address",
                        texts["where"],
                        ", ".join([*map(isolated, where), clean_name(screening.address or "")]),
                    ),
                    _field("booking", texts["booking"], f"{self._site}/{booking.page}"),
                ],
            },
        }


def _field(key: str, name: str, value: str) -> dict[str, Any]:
    return {"key": key, "label": name, "value": value}


def _attribute(certificate: x509.Certificate, name: x509.ObjectIdentifier) -> str:
    [attribute] = certificate.subject.get_attributes_for_oid(name)
    return str(attribute.value)


def _token(secret: str, ticket_id: str) -> str:
    return hmac.new(secret.strip().encode(), f"apple-pass {ticket_id}".encode(), hashlib.sha256).hexdigest()


def _zipped(files: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with ZipFile(content, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return content.getvalue()
