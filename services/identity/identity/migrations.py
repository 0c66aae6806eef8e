"""What identity's database needs before this version runs on it: see chassis.migrations."""

from chassis.migrations import Schema

from identity import store

SCHEMA = Schema(store.DOCUMENTS)
