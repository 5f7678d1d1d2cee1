"""The lines' rules as they were in force."""
