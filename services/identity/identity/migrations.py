"""What identity's database needs before this version runs on it: see chassis.mongo.migrations."""

from chassis.mongo.migrations import Schema

from identity import store

SCHEMA = Schema(store.DOCUMENTS)
