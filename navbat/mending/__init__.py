"""Damaged files of a data folder: what is damaged, what would be lost, and mending it with consent."""
