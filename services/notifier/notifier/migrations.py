"""The indexes and migrations that this version needs in the notifier's database: see chassis.migrations."""

from chassis import privacy
from chassis.migrations import Schema

from notifier import store

SCHEMA = Schema([*store.DOCUMENTS, *privacy.DOCUMENTS])
