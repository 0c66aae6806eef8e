"""A passkey provider in software: it makes and uses keys as a phone or a password manager does (W3C WebAuthn)."""

import hashlib
import json
import secrets
import struct

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url

PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40
ORIGIN = "http://localhost:8080"


class Authenticator:
    """One passkey, on a page at `origin`. `flags` say whether it verified its owner.

    `used` is its signature counter; those that are shared by several devices do not count.
    """

    def __init__(self, origin=ORIGIN, flags=PRESENT | VERIFIED):
        self.origin, self.flags, self.used, self.counts = origin, flags, 0, True
        self.id = secrets.token_bytes(32)
        self._key = ec.generate_private_key(ec.SECP256R1())

    def create(self, options):
        """Return the result of `navigator.credentials.create` as JSON."""
        public = self._key.public_key().public_numbers()
        cose = {1: 2, 3: -7, -1: 1, -2: public.x.to_bytes(32, "big"), -3: public.y.to_bytes(32, "big")}
        attested = bytes(16) + struct.pack(">H", len(self.id)) + self.id + cbor2.dumps(cose)
        data = self._data(options["rp"]["id"], ATTESTED) + attested
        statement = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        return self._credential(
            clientDataJSON=self._client_data("webauthn.create", options),
            attestationObject=statement,
        )

    def get(self, options):
        """Return the result of `navigator.credentials.get` as JSON."""
        self.used += self.counts
        data, client_data = self._data(options["rpId"]), self._client_data("webauthn.get", options)
        signature = self._key.sign(data + hashlib.sha256(client_data).digest(), ec.ECDSA(hashes.SHA256()))
        return self._credential(clientDataJSON=client_data, authenticatorData=data, signature=signature)

    def _data(self, site, more=0):
        return hashlib.sha256(site.encode()).digest() + struct.pack(">BI", self.flags | more, self.used)

    def _client_data(self, kind, options):
        return json.dumps({"type": kind, "challenge": options["challenge"], "origin": self.origin}).encode()

    def _credential(self, **response):
        name = bytes_to_base64url(self.id)
        told = {field: bytes_to_base64url(value) for field, value in response.items()}
        return {"id": name, "rawId": name, "type": "public-key", "response": told, "clientExtensionResults": {}}


def tampered(credential, field):
    """Return the credential with one bit of a field flipped."""
    raw = bytearray(base64url_to_bytes(credential["response"][field]))
    raw[-1] ^= 1
    return credential | {"response": credential["response"] | {field: bytes_to_base64url(bytes(raw))}}
