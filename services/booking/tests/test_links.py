"""Keys of links to a booking, and texts that must be refused."""

import base64
import json
from datetime import datetime, timedelta
from typing import Any

import jwt
import pytest
from booking import signing
from booking.model import State
from booking.signing import Signer, SigningKey, new_pem
from chassis.clock import now
from chassis.security.secrets import Cipher
from pydantic import SecretStr

from .conftest import LINK_KEY
from .examples import BOOKING, NOW, in_state

OWN, STRANGER = SigningKey(new_pem()), SigningKey(new_pem())
KEYS = [STRANGER.jwk | {"kid": "older"}, OWN.jwk]
SIGNER = Signer(SecretStr(LINK_KEY))
SIGNER.key = OWN


def claims(**changes: Any) -> dict[str, Any]:
    good = {"aud": signing.BOOKING_LINK, "sub": BOOKING, "exp": int((now() + timedelta(days=1)).timestamp())}
    return {name: value for name, value in (good | changes).items() if value is not None}


def unsigned(header: dict[str, Any], body: dict[str, Any], signature: str = "") -> str:
    parts = (base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in (header, body))
    return ".".join([*parts, signature])


def tampered(key: str, booking_id: str) -> str:
    header, _, signature = key.split(".")
    return f"{header}.{unsigned({}, claims(sub=booking_id)).split('.')[1]}.{signature}"


def test_a_key_opens_its_booking_until_its_end_and_no_other():
    key = SIGNER.link_key(BOOKING, now() + timedelta(minutes=1))
    assert signing.is_valid_key(key, BOOKING, KEYS)
    assert not signing.is_valid_key(key, "b2", KEYS)
    assert not signing.is_valid_key(key, "", KEYS)
    assert not signing.is_valid_key(SIGNER.link_key(BOOKING, now() - timedelta(seconds=1)), BOOKING, KEYS)


def test_a_key_stays_valid_after_a_key_rotation():
    key = SIGNER.link_key(BOOKING, now() + timedelta(minutes=1))
    assert signing.is_valid_key(key, BOOKING, [STRANGER.jwk, OWN.jwk])
    assert not signing.is_valid_key(key, BOOKING, [STRANGER.jwk])


KEY = OWN.sign(claims())
HMAC = {"alg": "HS256", "kid": OWN.kid}
WRONG = {
    "nothing": "",
    "rubbish": "rubbish",
    "three parts of rubbish": "a.b.c",
    "not even text": "\xff\xfe.\xff.\xff",
    "huge": "x" * 60_000,
    "a ticket": OWN.sign({"tid": f"{BOOKING}-F7", "sid": "s1", "seat": "F7", "exp": claims()["exp"]}),
    "a ticket that names a booking": OWN.sign(claims(aud=None)),
    "another audience": OWN.sign(claims(aud="usher")),
    "an access token": OWN.sign(claims(aud="usher", iss="https://usher.example")),
    "another booking": OWN.sign(claims(sub="b2")),
    "no booking": OWN.sign(claims(sub=None)),
    "no end": OWN.sign(claims(exp=None)),
    "its end is over": OWN.sign(claims(exp=1)),
    "tampered": tampered(OWN.sign(claims(sub="b2")), BOOKING),
    "cut off": KEY[:-5],
    "a deep header": f"{base64.urlsafe_b64encode(b'[' * 9000).decode()}.e30.eA",
    "an infinite end": OWN.sign(claims(exp=float("inf"))),
    "no signature": f"{KEY.rpartition('.')[0]}.",
    "no algorithm": unsigned({"alg": "none", "kid": OWN.kid}, claims()),
    "the public key as a secret": jwt.encode(claims(), OWN.jwk["x"], "HS256", HMAC),
    "another key's signature": STRANGER.sign(claims()),
    "another key's signature under our name": jwt.encode(claims(), STRANGER._key, "EdDSA", {"kid": OWN.kid}),
    "an unknown key": jwt.encode(claims(), OWN._key, "EdDSA", {"kid": "unknown"}),
    "no key": jwt.encode(claims(), OWN._key, "EdDSA"),
}


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG)
def test_invalid_keys_are_refused(text):
    assert signing.is_valid_key(KEY, BOOKING, KEYS), "the right one does"
    assert not signing.is_valid_key(text, BOOKING, KEYS)


def test_a_key_does_not_pass_as_a_ticket():
    """A door that only verifies the signature refuses the key because of its audience."""
    with pytest.raises(jwt.InvalidAudienceError):
        jwt.decode(KEY, jwt.PyJWK(OWN.jwk), algorithms=["EdDSA"])
    body = jwt.decode(KEY, options={"verify_signature": False})
    assert body.keys().isdisjoint({"tid", "sid", "seat"})
    assert jwt.decode(WRONG["a ticket"], jwt.PyJWK(OWN.jwk), algorithms=["EdDSA"])["tid"] == f"{BOOKING}-F7"


def test_a_key_does_not_pass_as_an_access_token():
    for audience in ("usher", "https://usher.example"):
        with pytest.raises(jwt.InvalidAudienceError):
            jwt.decode(KEY, jwt.PyJWK(OWN.jwk), algorithms=["EdDSA"], audience=audience)


@pytest.mark.parametrize(
    ("moment", "end"),
    [
        (NOW, NOW + timedelta(hours=5) + signing.LINK_LIFETIME),
        (NOW + timedelta(days=400), NOW + timedelta(days=401)),
    ],
    ids=["30 days after the showtime", "one day for an old booking"],
)
def test_how_long_a_link_is_valid(moment: datetime, end: datetime):
    link = SIGNER.new_link(in_state(State.CONFIRMED), moment)
    assert (link.booking_id, link.expires_at) == (BOOKING, end)
    body = jwt.decode(Cipher(LINK_KEY).decrypt(link.sealed_link), options={"verify_signature": False})
    assert body == {"aud": signing.BOOKING_LINK, "sub": BOOKING, "exp": int(end.timestamp())}
