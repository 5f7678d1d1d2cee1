"""A running desk: which parts run in which process, on what."""
