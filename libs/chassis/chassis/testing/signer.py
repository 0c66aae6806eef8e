"""Real access tokens: an Ed25519 key, and a loopback server for the key and revocations as in identity."""

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
    """Signs access tokens for services whose `JWKS_URL` is this signer's `url`.

    `revoked` and `ended` are its revocation list: user id → first valid epoch, and session id → user id.
    """

    def __init__(self, url: str, key: Ed25519PrivateKey, kid: str) -> None:
        self.url, self._key, self._kid = url, key, kid
        self.revoked: dict[str, int] = {}
        self.ended: dict[str, str] = {}

    def token(self, user_id: str = "user-1", permissions: list[str] | None = None, **claims: Any) -> str:
        """Return a token for the person, valid for five minutes. `claims` override the defaults."""
        issued = int(time.time())
        standard = {"iss": ISSUER, "aud": AUDIENCE, "sub": user_id, "sid": "session-1", "iat": issued}
        person = {"exp": issued + 300, "email": f"{user_id}@usher.example", "name": user_id, "roles": []}
        person["email_verified"] = True
        payload = standard | person | {"permissions": permissions or []} | claims
        return jwt.encode(payload, self._key, algorithm="EdDSA", headers={"kid": self._kid})

    def headers(self, user_id: str = "user-1", permissions: list[str] | None = None, **claims: Any) -> dict[str, str]:
        """Return the Authorization header with such a token."""
        return {"Authorization": f"Bearer {self.token(user_id, permissions, **claims)}"}


@contextmanager
def signing() -> Iterator[Signer]:
    """Yield a signer that serves its public key and revocations over HTTP."""
    key, kid = Ed25519PrivateKey.generate(), "test-key"
    public = json.loads(OKPAlgorithm.to_jwk(key.public_key()))
    document = json.dumps({"keys": [public | {"kid": kid, "alg": "EdDSA", "use": "sig"}]}).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            is_keys = self.path.endswith("/jwks.json")
            self.wfile.write(
                document if is_keys else json.dumps({"revoked": signer.revoked, "ended": signer.ended}).encode()
            )

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    signer = Signer(f"http://127.0.0.1:{server.server_port}/.well-known/jwks.json", key, kid)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield signer
    finally:
        server.shutdown()
        server.server_close()
