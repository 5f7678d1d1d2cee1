"""The stores, each empty."""

from tests.storage.conftest import mongo, mongodb_url, sqlite, store

__all__ = ["mongo", "mongodb_url", "sqlite", "store"]
