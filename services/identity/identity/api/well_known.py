"""Data for verifying access tokens in every service: public keys and revocations."""

from typing import Any

from fastapi import APIRouter, Response

from identity import store
from identity.api.routing import Signing

well_known = APIRouter(prefix="/.well-known", tags=["keys"])


@well_known.get("/jwks.json")
async def jwks(response: Response, keys: Signing) -> dict[str, Any]:
    """The public keys that verify access tokens (RFC 7517)."""
    response.headers["Cache-Control"] = "public, max-age=300"
    return await keys.published()


@well_known.get("/revocations.json", include_in_schema=False)
async def revocations() -> dict[str, dict[str, Any]]:
    """Revoked access, for the services. The gateway does not route this address."""
    return await store.revocations()
