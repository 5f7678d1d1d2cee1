"""The command line, and the client of a running desk behind it. ``main`` is the entry point."""

from navbat.cli.program import main as main
