"""The journal becomes history: what the store is told, and what it cannot know yet."""
