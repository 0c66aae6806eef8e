"""The public keys."""

from typing import Any

from fastapi import APIRouter, Response

from identity import keys

well_known = APIRouter(prefix="/.well-known", tags=["keys"])


@well_known.get("/jwks.json")
async def jwks(response: Response) -> dict[str, Any]:
    """The public keys that verify access tokens (RFC 7517)."""
    response.headers["Cache-Control"] = "public, max-age=300"
    return await keys.published()
