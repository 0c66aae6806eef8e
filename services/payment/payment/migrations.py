"""The indexes and migrations of payment's database; see chassis.migrations."""

from chassis import privacy
from chassis.migrations import Schema

from payment import store

SCHEMA = Schema([*store.DOCUMENTS, *privacy.DOCUMENTS])
