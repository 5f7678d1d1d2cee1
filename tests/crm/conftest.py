"""The stores, for everything that is kept in them."""

from tests.storage.conftest import mongo, mongodb_url, sqlite, store

__all__ = ["mongo", "mongodb_url", "sqlite", "store"]
