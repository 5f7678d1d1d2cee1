"""Access, erasure and retention: what is kept of one person, and how it goes."""
