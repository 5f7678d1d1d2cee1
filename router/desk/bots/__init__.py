"""Bots in the line, and the flows that they follow."""
