"""Identity, put together."""

from chassis.app import create_service

from identity import api, keys, settings, store

app = create_service(settings.get(), routers=api.ROUTERS, documents=store.DOCUMENTS, keys=keys.published)
