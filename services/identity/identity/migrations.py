"""Schema and migrations of identity's database: see chassis.mongo.migrations."""

from chassis.mongo.migrations import Database, Migration, Schema
from chassis.security.secrets import Cipher
from pymongo import UpdateOne

from identity import settings, store


async def encrypt_signing_keys(database: Database) -> int:
    """Encrypt the signing keys beside their clear text, which the previous version still reads."""
    clear = {"private_pem": {"$type": "string"}, "sealed_pem": None}
    keys = await database.signing_keys.find(clear, {"private_pem": 1}).to_list()
    if not keys:
        return 0
    cipher = Cipher(settings.MigrationSettings().identity_key.get_secret_value())  # pyright: ignore[reportCallIssue]
    sealed = [
        UpdateOne({"_id": key["_id"]}, {"$set": {"sealed_pem": cipher.encrypt(key["private_pem"])}}) for key in keys
    ]
    return (await database.signing_keys.bulk_write(sealed)).modified_count


async def remove_clear_signing_keys(database: Database) -> int:
    """Remove the clear text. Keys that the previous version has added meanwhile are encrypted first."""
    await encrypt_signing_keys(database)
    removed = await database.signing_keys.update_many(
        {"sealed_pem": {"$type": "string"}, "private_pem": {"$exists": True}}, {"$unset": {"private_pem": ""}}
    )
    return removed.modified_count


SCHEMA = Schema(
    store.DOCUMENTS,
    migrations=[
        Migration("2026-12-encrypt-signing-keys", "expand", encrypt_signing_keys),
        Migration("2026-12-remove-clear-signing-keys", "contract", remove_clear_signing_keys),
    ],
)
