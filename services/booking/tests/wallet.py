"""A cinema's own certificates, and a push service for passes (HTTP/2 over TLS with client certificates)."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from chassis.clock import now
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import RequestReceived, StreamEnded

PASS_TYPE, TEAM = "pass.example.usher", "TEAM123456"
ISSUER, ACCOUNT = "3388000000012345678", "usher@cinema.example"
GONE, OTHERS = "00gone", "00others"


class Certified:
    """A key and its certificate, as PEM. Without an issuer it is a CA."""

    def __init__(self, subject: dict[x509.ObjectIdentifier, str], issuer: "Certified | None" = None) -> None:
        self.key = rsa.generate_private_key(65537, 2048)
        name = x509.Name([x509.NameAttribute(oid, text) for oid, text in subject.items()])
        by = issuer or self
        self.name = name
        builder = (
            x509.CertificateBuilder(name if issuer is None else issuer.name, name, self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now() - timedelta(days=1))
            .not_valid_after(now() + timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        )
        self.certificate = builder.sign(by.key, SHA256())
        self.pem = self.certificate.public_bytes(Encoding.PEM).decode()
        self.key_pem = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


AUTHORITY = Certified({NameOID.COMMON_NAME: "Test CA"})
PASS = Certified(
    {NameOID.USER_ID: PASS_TYPE, NameOID.ORGANIZATIONAL_UNIT_NAME: TEAM, NameOID.COMMON_NAME: "Passes"}, AUTHORITY
)
SERVER = Certified({NameOID.COMMON_NAME: "127.0.0.1"}, AUTHORITY)


@dataclass
class PushService:
    """What devices were told: the headers of each request. Tokens that are GONE get a 410, OTHERS' a 400."""

    url: str = ""
    told: list[dict[str, str]] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        connection.initiate_connection()
        writer.write(connection.data_to_send())
        requests: dict[int, dict[str, str]] = {}
        while data := await reader.read(65536):
            for event in connection.receive_data(data):
                if isinstance(event, RequestReceived):
                    requests[event.stream_id] = {str(name): str(value) for name, value in event.headers}
                elif isinstance(event, StreamEnded):
                    headers = requests.pop(event.stream_id)
                    self.told.append(headers)
                    if headers[":path"].endswith(OTHERS):
                        connection.send_headers(event.stream_id, [(":status", "400")])
                        connection.send_data(event.stream_id, b'{"reason":"DeviceTokenNotForTopic"}', end_stream=True)
                        continue
                    status = "410" if headers[":path"].endswith(GONE) else "200"
                    connection.send_headers(event.stream_id, [(":status", status)], end_stream=True)
            writer.write(connection.data_to_send())
            await writer.drain()
        writer.close()


@asynccontextmanager
async def push_service(folder: Path) -> AsyncIterator[PushService]:
    """Run a push service that accepts only clients with a certificate of the CA."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=AUTHORITY.pem)
    context.verify_mode = ssl.CERT_REQUIRED
    context.set_alpn_protocols(["h2"])
    pem = folder / "server.pem"
    pem.write_text(SERVER.key_pem + SERVER.pem)
    context.load_cert_chain(pem)
    service = PushService()
    server = await asyncio.start_server(service.serve, "127.0.0.1", 0, ssl=context)
    service.url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield service
    server.close()


def settings_of(push_url: str) -> dict[str, Any]:
    """The environment of a cinema with both wallets."""
    return {
        "APPLE_PASS_CERTIFICATE": PASS.pem,
        "APPLE_PASS_KEY": PASS.key_pem,
        "APPLE_ISSUER_CERTIFICATE": AUTHORITY.pem,
        "APPLE_PUSH_URL": push_url,
        "APPLE_PUSH_AUTHORITY": AUTHORITY.pem,
        "GOOGLE_WALLET_ISSUER": ISSUER,
        "GOOGLE_WALLET_ACCOUNT": json.dumps({"client_email": ACCOUNT, "private_key": SERVER.key_pem}),
    }
