"""WebAuthn for this site (W3C Web Authentication, level 3)."""

import json
from datetime import datetime, timedelta
from typing import Any

from chassis.ids import new_id
from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url, options_to_json, parse_client_data_json
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from identity import settings
from identity.model import PasskeyRefused
from identity.store import Passkey, User

NAME = "Usher"
LIFETIME = timedelta(minutes=5)
Json = dict[str, Any]


def creation_options(user: User) -> Json:
    """The options for `navigator.credentials.create`; `challenge` is base64url."""
    options = generate_registration_options(
        rp_id=settings.get().site_host,
        rp_name=NAME,
        user_id=user.id.encode(),
        user_name=user.email,
        user_display_name=user.name,
        timeout=LIFETIME // timedelta(milliseconds=1),
        exclude_credentials=[PublicKeyCredentialDescriptor(base64url_to_bytes(k.credential_id)) for k in user.passkeys],
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
        ),
    )
    return json.loads(options_to_json(options))


def request_options() -> Json:
    """The options for `navigator.credentials.get`: any passkey of this site, so that no account is revealed."""
    options = generate_authentication_options(
        rp_id=settings.get().site_host,
        timeout=LIFETIME // timedelta(milliseconds=1),
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return json.loads(options_to_json(options))


def challenge_in(credential: Json) -> str:
    """The challenge named in the browser's answer. Raises PasskeyRefused."""
    try:
        client_data = parse_client_data_json(base64url_to_bytes(credential["response"]["clientDataJSON"]))
    except (WebAuthnException, LookupError, TypeError, ValueError, AttributeError) as error:
        raise PasskeyRefused from error
    return bytes_to_base64url(client_data.challenge)


def created(credential: Json, challenge: str, name: str, now: datetime) -> Passkey:
    """The verified new passkey. Raises PasskeyRefused."""
    try:
        verified = verify_registration_response(
            credential=credential,
            expected_challenge=base64url_to_bytes(challenge),
            expected_rp_id=settings.get().site_host,
            expected_origin=settings.get().site_origins,
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError) as error:
        raise PasskeyRefused from error
    return Passkey(
        passkey_id=new_id(),
        credential_id=bytes_to_base64url(verified.credential_id),
        public_key=verified.credential_public_key,
        sign_count=verified.sign_count,
        name=name,
        created_at=now,
    )


def signed_count(credential: Json, challenge: str, passkey: Passkey) -> int:
    """The passkey's use counter, after verifying the signature. Raises PasskeyRefused."""
    try:
        verified = verify_authentication_response(
            credential=credential,
            expected_challenge=base64url_to_bytes(challenge),
            expected_rp_id=settings.get().site_host,
            expected_origin=settings.get().site_origins,
            credential_public_key=passkey.public_key,
            credential_current_sign_count=passkey.sign_count,
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError) as error:
        raise PasskeyRefused from error
    return verified.new_sign_count
