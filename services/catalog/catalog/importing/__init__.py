"""Imports of films: the providers, and processing of imports.

A new provider is a class with `refs` and `offer`, and a line in `provider_of`. `store.imports` stores imports, see
docs/adr/0014-imports-item-by-item.md.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Protocol

import structlog
from chassis.clock import now
from chassis.ids import new_id

from catalog import store
from catalog.importing.faults import OfferInvalid, ProviderRefused, ProviderUnavailable
from catalog.importing.files import FileProvider, read_films
from catalog.importing.tmdb import Tmdb
from catalog.model.imports import Offered, ProviderName, Result
from catalog.settings import Settings

__all__ = ["FileProvider", "OfferInvalid", "ProviderRefused", "ProviderUnavailable", "Tmdb", "read_films"]
log = structlog.get_logger()
AT_ONCE = 8
RUN_S = 5.0
"""How long the job processes imports before other jobs run."""
AGAIN_AFTER, GIVEN_UP_AFTER = timedelta(seconds=30), timedelta(hours=1)
OWNER = f"{os.uname().nodename}-{new_id()}"


class Provider(Protocol):
    """A source of films."""

    async def refs(self, source: Mapping[str, Any]) -> list[str]:
        """The provider's ids of the films to import. Raises ProviderUnavailable and ProviderRefused."""
        ...

    async def offer(self, ref: str, row: str | None) -> Offered:
        """One of these films. Raises OfferInvalid, ProviderUnavailable and ProviderRefused."""
        ...


@asynccontextmanager
async def provider_of(name: ProviderName, settings: Settings) -> AsyncIterator[Provider]:
    """The provider with this name, ready for requests."""
    if name == "file":
        yield FileProvider()
    else:
        async with Tmdb.opened(settings) as tmdb:
            yield tmdb


async def import_file(data: bytes, name: str, *, dry_run: bool, requested_by: str) -> str:
    """Start an import of the films in a JSON or CSV file; returns its id. Raises ImportInvalid."""
    rows = await asyncio.to_thread(read_films, data)
    import_id, source = new_id(), {"file": name}
    await store.begin_import(import_id, "file", source, dry_run=dry_run, requested_by=requested_by, state="receiving")
    await store.enter_items(import_id, rows)
    return import_id


async def import_tmdb(source: Mapping[str, Any], *, dry_run: bool, requested_by: str) -> str:
    """Start an import of some of TMDB's films, see `Tmdb.refs`; returns its id."""
    import_id = new_id()
    await store.begin_import(import_id, "tmdb", source, dry_run=dry_run, requested_by=requested_by, state="listing")
    return import_id


async def advance(found: store.Document, settings: Settings) -> None:
    """Process the next items of an import that this process has claimed."""
    import_id = found["_id"]
    try:
        async with provider_of(found["provider"], settings) as provider:
            if found["state"] == "listing":
                refs = await provider.refs(found["source"])
                await store.enter_items(import_id, [(ref, None) for ref in refs])
                return
            waiting = await store.waiting_items(import_id, AT_ONCE)
            if not waiting:
                await store.end_import(import_id)
                return
            results = await asyncio.gather(*(_do(item, found, provider) for item in waiting), return_exceptions=True)
    except (ProviderUnavailable, ProviderRefused) as fault:
        await _wait(found, fault)
        return
    done = [(item["_id"], result) for item, result in zip(waiting, results, strict=True) if isinstance(result, Result)]
    if done:
        await store.note_results(import_id, done)
    for fault in results:
        if isinstance(fault, ProviderUnavailable | ProviderRefused):
            await _wait(found, fault)
        elif isinstance(fault, BaseException):
            raise fault


async def _do(item: store.Document, found: store.Document, provider: Provider) -> Result:
    try:
        offer = await provider.offer(item["ref"], item["row"])
    except OfferInvalid as fault:
        return Result("failed", reason=str(fault))
    return await store.import_movie(offer, found["provider"], dry_run=found["dry_run"])


async def _wait(found: store.Document, fault: Exception) -> None:
    """Schedule another attempt; give up after a while, or when the key was refused."""
    log.warning("import_waits", import_id=found["_id"], reason=str(fault))
    if isinstance(fault, ProviderRefused) or found["moved_at"] < now() - GIVEN_UP_AFTER:
        await store.end_import(found["_id"], str(fault))
    else:
        await store.postpone_import(found["_id"], now() + AGAIN_AFTER, str(fault))


async def work(settings: Settings, owner: str = OWNER) -> None:
    """Process unclaimed imports, the oldest first, for a while."""
    loop = asyncio.get_running_loop()
    until = loop.time() + RUN_S
    while loop.time() < until and (found := await store.claim_import(owner)):
        await advance(found, settings)
