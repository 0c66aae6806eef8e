"""Real access tokens: an Ed25519 key, and a server on loopback for it and for revocations, as identity has them."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm

ISSUER, AUDIENCE = "https://usher.example", "usher"


class Signer:
    """Signs access tokens that a service accepts whose `JWKS_URL` is this signer's `url`.

    `revoked` is what it answers about void tokens: user id → first epoch that counts.
    """

    def __init__(self, url: str, key: Ed25519PrivateKey, kid: str, revoked: dict[str, int]) -> None:
        self.url, self._key, self._kid, self.revoked = url, key, kid, revoked

    def token(self, user_id: str = "user-1", permissions: list[str] | None = None, **claims: Any) -> str:
        """A token for the person, valid for five minutes; `claims` replace or add to its own."""
        issued = int(time.time())
        standard = {"iss": ISSUER, "aud": AUDIENCE, "sub": user_id, "sid": "session-1", "iat": issued}
        person = {"exp": issued + 300, "email": f"{user_id}@usher.example", "name": user_id, "roles": []}
        person["email_verified"] = True
        payload = standard | person | {"permissions": permissions or []} | claims
        return jwt.encode(payload, self._key, algorithm="EdDSA", headers={"kid": self._kid})

    def headers(self, user_id: str = "user-1", permissions: list[str] | None = None, **claims: Any) -> dict[str, str]:
        """The Authorization header with such a token."""
        return {"Authorization": f"Bearer {self.token(user_id, permissions, **claims)}"}


@contextmanager
def signing() -> Iterator[Signer]:
    """A signer whose public key and revocations are served over HTTP."""
    revoked: dict[str, int] = {}
    key, kid = Ed25519PrivateKey.generate(), "test-key"
    public = json.loads(OKPAlgorithm.to_jwk(key.public_key()))
    document = json.dumps({"keys": [public | {"kid": kid, "alg": "EdDSA", "use": "sig"}]}).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            is_keys = self.path.endswith("/jwks.json")
            self.wfile.write(document if is_keys else json.dumps({"revoked": revoked}).encode())

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
            """Requests of a test are not worth a line."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield Signer(f"http://127.0.0.1:{server.server_port}/.well-known/jwks.json", key, kid, revoked)
    finally:
        server.shutdown()
        server.server_close()
