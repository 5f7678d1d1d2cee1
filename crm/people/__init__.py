"""Who is writing: suggestions, and cards that turn out to be one person's."""
