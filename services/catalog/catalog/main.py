"""Composition root of catalog."""

from weakref import WeakValueDictionary

from cachetools import LRUCache
from chassis.app import create_service

from catalog import api, handlers, jobs, migrations, pictures, settings

app = create_service(
    settings.get(),
    routers=api.ROUTERS,
    schema=migrations.SCHEMA,
    handlers=handlers.handlers(films=LRUCache(maxsize=2000), turns=WeakValueDictionary()),
    jobs=jobs.JOBS,
    privacy=handlers.PRIVACY,
)
app.state.picture_reader = pictures.PictureReader()
