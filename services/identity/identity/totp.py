"""Codes of authenticator apps (RFC 6238) and recovery codes."""

import hmac
from datetime import datetime

from chassis.security.secrets import Cipher
from pyotp import random_base32
from pyotp.totp import TOTP

from identity import settings

ISSUER = "Usher"
DRIFT = (-1, 0, 1)
"""Half minutes that a phone's clock may be off, in either direction."""
RECOVERY_CODES = 10


def new_secret() -> str:
    """A secret for an app: 160 random bits in base32."""
    return random_base32()


def app_uri(secret: str, email: str) -> str:
    """The URI in the QR code for the app."""
    return TOTP(secret).provisioning_uri(name=email, issuer_name=ISSUER)


def sealed(secret: str) -> str:
    """The secret, encrypted for the database."""
    return Cipher(settings.get().totp_key.get_secret_value()).encrypt(secret)


def step_of(sealed_secret: str, code: str, now: datetime) -> int | None:
    """The half minute since 1970 of this code; None for a wrong code."""
    clock = TOTP(Cipher(settings.get().totp_key.get_secret_value()).decrypt(sealed_secret))
    present = clock.timecode(now)
    typed = code.encode()  # `compare_digest` refuses texts that are not ASCII
    fitting = [
        step for drift in DRIFT if hmac.compare_digest(clock.generate_otp(step := present + drift).encode(), typed)
    ]
    return fitting[0] if fitting else None


def new_recovery_codes() -> list[str]:
    """Codes of 80 random bits, so that a plain hash keeps them secret: `abcd-efgh-ijkl-mnop`."""
    return [_grouped(random_base32(32)[:16].lower()) for _ in range(RECOVERY_CODES)]


def _grouped(code: str) -> str:
    return "-".join(code[at : at + 4] for at in range(0, len(code), 4))


def normal_recovery_code(typed: str) -> str:
    """The normal form of a typed recovery code."""
    return _grouped("".join(typed.lower().replace("-", "").split()))
