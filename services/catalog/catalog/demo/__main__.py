"""Load the demo into the configured database, and publish its events."""

import asyncio

from chassis.clock import now
from chassis.messaging import broker
from chassis.mongo.connection import connected
from chassis.mongo.relay import Relay
from chassis.observability import telemetry

from catalog import demo, migrations, settings, store


async def main() -> None:
    """Load the demo. The running service's sweeper publishes what the broker has not confirmed by then."""
    chosen = settings.get()
    telemetry.configure_logging(chosen.service, chosen.log_level)
    async with (
        connected(chosen, migrations.SCHEMA),
        broker.connected(chosen) as rabbit,
        Relay(rabbit.publish, store.DOCUMENTS),
    ):
        await demo.load(now())


if __name__ == "__main__":
    asyncio.run(main())
