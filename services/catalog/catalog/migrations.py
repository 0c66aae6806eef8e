"""What catalog's database needs before this version runs on it: see chassis.mongo.migrations."""

from chassis import privacy
from chassis.mongo.migrations import Schema

from catalog import store

SCHEMA = Schema([*store.DOCUMENTS, *privacy.DOCUMENTS])
