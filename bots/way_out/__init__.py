"""The way out: each chat in order, each delivery at most once."""
