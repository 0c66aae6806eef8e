"""The authenticator app and its recovery codes."""

from datetime import datetime

from chassis.security.secrets import hash_secret

from identity.model import SecondFactorOff, SecondFactorOn, WrongCode
from identity.store.users import User, users


async def offer_totp(user: User, sealed_secret: str, now: datetime) -> None:
    """Store the secret shown to the app; it takes effect once a code was confirmed. Raises SecondFactorOn."""
    offer = {"totp_offer": sealed_secret, "totp_offered_at": now}
    if not await users.update({"_id": user.id, "totp": None}, {"$set": offer}):
        raise SecondFactorOn


async def take_totp(user: User, step: int, recovery_codes: list[str], device: str, now: datetime) -> None:
    """Activate the offered app with these recovery codes. Raises SecondFactorOff when there is no offer.

    The passkeys must still be those that the caller checked.
    """
    changed = await users.update(
        {"_id": user.id, "totp": None, "totp_offer": user.totp_offer, "passkeys": {"$size": len(user.passkeys)}},
        {
            "$set": {
                "totp": {"sealed_secret": user.totp_offer, "last_step": step, "added_at": now},
                "recovery_hashes": [hash_secret(code) for code in recovery_codes],
            },
            "$unset": {"totp_offer": "", "totp_offered_at": ""},
        },
        events=[user.noticed("totp_added", device)],
    )
    if not changed:
        raise SecondFactorOff


async def drop_totp(user: User, device: str) -> None:
    """Remove the app and its recovery codes. Raises SecondFactorOff."""
    changed = await users.update(
        {"_id": user.id, "totp": {"$ne": None}},
        {"$set": {"totp": None, "recovery_hashes": []}},
        events=[user.noticed("totp_removed", device)],
    )
    if not changed:
        raise SecondFactorOff


async def use_code(user: User, step: int) -> None:
    """Mark the code of a step as used. Raises WrongCode when it or a later one was used before (RFC 6238, 5.2)."""
    if not await users.update({"_id": user.id, "totp.last_step": {"$lt": step}}, {"$set": {"totp.last_step": step}}):
        raise WrongCode


async def use_recovery_code(user: User, code: str, device: str) -> None:
    """Use up a recovery code. Raises WrongCode."""
    used = hash_secret(code)
    if not await users.update(
        {"_id": user.id, "recovery_hashes": used},
        {"$pull": {"recovery_hashes": used}},
        events=[user.noticed("recovery_code_used", device)],
    ):
        raise WrongCode


async def replace_recovery_codes(user: User, codes: list[str], device: str) -> None:
    """Replace the recovery codes. Raises SecondFactorOff."""
    changed = await users.update(
        {"_id": user.id, "totp": {"$ne": None}},
        {"$set": {"recovery_hashes": [hash_secret(code) for code in codes]}},
        events=[user.noticed("recovery_codes_replaced", device)],
    )
    if not changed:
        raise SecondFactorOff
