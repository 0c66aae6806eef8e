"""The indexes and migrations that this version needs in the notifier's database: see chassis.mongo.migrations."""

from chassis import privacy
from chassis.mongo.migrations import Schema

from notifier import store

SCHEMA = Schema([*store.DOCUMENTS, *privacy.DOCUMENTS])
