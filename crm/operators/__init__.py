"""Operators' accounts."""
