"""The demo's people have a public password, so they exist on a local platform only."""

import asyncio
import os
import sys

from identity import demo, store


async def test_the_demos_people_are_not_loaded_where_strangers_come(client):
    public = {"PUBLIC_URL": "https://tickets.example", "RABBITMQ_URI": "amqp://a:b@127.0.0.1/"}
    people = {"email": {"$in": list(demo.PEOPLE)}}
    await store.User.find(people).delete()  # another test may have loaded them
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "identity.demo", env=os.environ | public, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    assert b"demo_users_refused" in out
    assert await store.User.find(people).count() == 0
