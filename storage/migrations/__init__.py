"""From the documents of an earlier version to those of this one: numbered steps, each taken once."""
