"""Import films from the command line:

    python -m catalog.importing file FILE [--dry-run]
    python -m catalog.importing tmdb [--list now_playing|upcoming|popular|top_rated] [--pages N] [--id N …] [--dry-run]
    python -m catalog.importing resume ID

After Ctrl-C the running service continues the import.
"""

import argparse
import asyncio
import sys
from pathlib import Path

from chassis.messaging import broker
from chassis.mongo.connection import connected
from chassis.mongo.outbox import Aggregate
from chassis.mongo.relay import Relay
from chassis.observability import telemetry
from contracts.errors import Problem

from catalog import jobs, migrations, settings, store
from catalog.model.film_files import MAX_BYTES, read_films

REPORTED = 20


def arguments() -> argparse.Namespace:
    """The command's arguments."""
    parser = argparse.ArgumentParser(prog="python -m catalog.importing", description="Import films.")
    kinds = parser.add_subparsers(dest="kind", required=True)
    from_file = kinds.add_parser("file", help="a JSON or CSV file")
    from_file.add_argument("path", type=Path)
    from_tmdb = kinds.add_parser("tmdb", help="The Movie Database")
    from_tmdb.add_argument("--list", choices=["now_playing", "upcoming", "popular", "top_rated"])
    from_tmdb.add_argument("--pages", type=int, default=1)
    from_tmdb.add_argument("--id", type=int, action="append", default=[], dest="ids")
    for each in (from_file, from_tmdb):
        each.add_argument("--dry-run", action="store_true", help="only report what would change")
    kinds.add_parser("resume", help="continue an import").add_argument("import_id")
    return parser.parse_args()


async def begin(given: argparse.Namespace) -> str:
    """The import's id. Raises ImportInvalid, and OSError for a file that cannot be read."""
    match given.kind:
        case "file":
            file = read_films(await asyncio.to_thread(_read, given.path))
            source = {"file": given.path.name, **file.read_as}
            return await store.start_import("file", source, file.rows, dry_run=given.dry_run, requested_by="command")
        case "tmdb":
            source = {"list": given.list, "pages": given.pages, "ids": given.ids}
            return await store.start_import("tmdb", source, dry_run=given.dry_run, requested_by="command")
        case _:
            return (await store.import_of(given.import_id)).id


def _read(path: Path) -> bytes:
    """The file's content, but no more than what shows that it is too large."""
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)


async def follow(import_id: str) -> bool:
    """Process the import and print its progress until it ends; returns whether every film succeeded."""
    chosen, said = settings.get(), ""
    while True:
        if mine := await store.claim_import(jobs.OWNER, import_id):
            await jobs.advance_import(mine, chosen)
        else:
            await asyncio.sleep(0.5)
        found = await store.import_of(import_id)
        counts = (await store.counts_of([import_id]))[import_id]
        progress = " ".join(f"{outcome or 'waiting'}={count}" for outcome, count in sorted(counts.items(), key=str))
        line = f"{found.state}: {progress} {found.fault or ''}".rstrip()
        if line != said:
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()
            said = line
        if found.state in {"done", "failed"}:
            return found.state == "done" and not counts.get("failed")


async def report(import_id: str) -> None:
    """The first changed films and the first failures."""
    for outcome in ("added", "changed", "failed"):
        for item in await store.items_page(import_id, outcome, None, REPORTED):
            changes = ", ".join(
                f"{name}: {before!r} → {after!r}" for name, (before, after) in (item.get("changes") or {}).items()
            )
            said = item["reason"] or changes[:500]
            sys.stdout.write(f"{outcome} {item['movie_id'] or item['ref']} {said}".rstrip() + "\n")


async def main() -> int:
    """Import the films. The running service's sweeper publishes what the broker has not confirmed by then."""
    given, chosen = arguments(), settings.get()
    telemetry.configure_logging(chosen.service, "WARNING")
    aggregates = [document for document in store.DOCUMENTS if issubclass(document, Aggregate)]
    async with (
        connected(chosen, migrations.SCHEMA),
        broker.connected(chosen) as rabbit,
        Relay(rabbit.publish, aggregates),
    ):
        try:
            import_id = await begin(given)
        except (Problem, OSError) as problem:
            sys.stderr.write(f"{problem}\n")
            return 2
        sys.stdout.write(f"import {import_id}\n")
        is_fine = await follow(import_id)
        await report(import_id)
    return 0 if is_fine else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
