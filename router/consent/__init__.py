"""Carries out erasures and retention, on the store, in Redis and among the files."""
