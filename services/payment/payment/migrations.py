"""The indexes and migrations of payment's database; see chassis.mongo.migrations."""

from chassis import privacy
from chassis.mongo.migrations import Schema

from payment import store

SCHEMA = Schema([*store.DOCUMENTS, *privacy.DOCUMENTS])
