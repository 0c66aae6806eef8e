"""Periodic jobs: imports of films, unfinished schedules, unused pictures.

A new provider of films is a class with `refs` and `film`, and a line in `provider_of`. `store.imports` stores imports,
see docs/adr/0014-imports-item-by-item.md.
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
from chassis.jobs import Job

from catalog import settings, store
from catalog.model.film_files import film_of_row
from catalog.model.imports import (
    FilmInvalid,
    ProviderFilm,
    ProviderName,
    ProviderRefused,
    ProviderUnavailable,
    Result,
)
from catalog.tmdb import Tmdb

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

    async def film(self, ref: str, row: str | None) -> ProviderFilm:
        """One of these films. Raises FilmInvalid, ProviderUnavailable and ProviderRefused."""
        ...


class FileProvider:
    """Films that were read from a file before; each item contains its row."""

    async def refs(self, source: Mapping[str, Any]) -> list[str]:
        """Nothing: the rows were inserted when the file was uploaded."""
        return []

    async def film(self, ref: str, row: str | None) -> ProviderFilm:
        """The film of a row. Raises FilmInvalid with the place."""
        return film_of_row(ref, row or "null")


@asynccontextmanager
async def provider_of(name: ProviderName, chosen: settings.Settings) -> AsyncIterator[Provider]:
    """The provider with this name, ready for requests."""
    if name == "file":
        yield FileProvider()
    else:
        async with Tmdb.opened(chosen) as tmdb:
            yield tmdb


async def advance_import(found: store.Import, chosen: settings.Settings) -> None:
    """Process the next items of an import that this process has claimed."""
    try:
        async with provider_of(found.provider, chosen) as provider:
            if found.state == "listing":
                refs = await provider.refs(found.source)
                await store.enter_items(found.id, [(ref, None) for ref in refs])
                return
            waiting = await store.waiting_items(found.id, AT_ONCE)
            if not waiting:
                await store.end_import(found.id)
                return
            results = await asyncio.gather(*(_do(item, found, provider) for item in waiting), return_exceptions=True)
    except (ProviderUnavailable, ProviderRefused) as fault:
        await _wait(found, fault)
        return
    done = [(item.id, result) for item, result in zip(waiting, results, strict=True) if isinstance(result, Result)]
    if done:
        await store.store_results(found.id, done)
    for fault in results:
        if isinstance(fault, ProviderUnavailable | ProviderRefused):
            await _wait(found, fault)
        elif isinstance(fault, BaseException):
            raise fault


async def _do(item: store.ImportItem, found: store.Import, provider: Provider) -> Result:
    try:
        film = await provider.film(item.ref, item.row)
    except FilmInvalid as fault:
        return Result("failed", reason=str(fault))
    return await store.import_movie(film, found.provider, dry_run=found.dry_run)


async def _wait(found: store.Import, fault: Exception) -> None:
    """Schedule another attempt; give up after a while, or when the key was refused."""
    log.warning("import_waits", import_id=found.id, reason=str(fault))
    if isinstance(fault, ProviderRefused) or found.moved_at < now() - GIVEN_UP_AFTER:
        await store.end_import(found.id, str(fault))
    else:
        await store.postpone_import(found.id, now() + AGAIN_AFTER, str(fault))


async def work_on_imports(owner: str = OWNER) -> None:
    """Process unclaimed imports of films, the oldest first, for a while."""
    loop = asyncio.get_running_loop()
    until = loop.time() + RUN_S
    while loop.time() < until and (found := await store.claim_import(owner)):
        await advance_import(found, settings.get())


async def drop_unused_pictures() -> None:
    """Delete pictures that no film uses."""
    if dropped := await store.drop_unused_pictures(now()):
        log.info("pictures_dropped", count=dropped)


JOBS = [
    Job("work_on_imports", every=2.0, run=work_on_imports),
    Job("resume_schedules", every=15.0, run=store.resume),
    Job("cancel_late_showtimes", every=60.0, run=store.cancel_late_showtimes),
    Job("drop_unused_pictures", every=3600.0, run=drop_unused_pictures),
]
