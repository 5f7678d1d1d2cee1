"""Where it is kept: two implementations of the store's port, and the media files."""
