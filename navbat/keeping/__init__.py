"""What a desk has is kept elsewhere: backups, restoring one, moving to another store."""
