"""The front door: commands, configuration and the composition of a running desk."""

__version__ = "0.1.0"
