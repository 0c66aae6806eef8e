"""What realtime's database needs before this version runs on it: see chassis.mongo.migrations."""

from chassis.mongo.migrations import Schema
from pymongo import IndexModel

from realtime import store

SCHEMA = Schema(store.DOCUMENTS, retired={"showtimes": [IndexModel("changed_at")]})
