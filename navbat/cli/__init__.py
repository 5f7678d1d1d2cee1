"""The command line, and the client of a running desk behind it."""
