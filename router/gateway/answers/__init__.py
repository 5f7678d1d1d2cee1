"""What clients ask for: commands, reads, lines, what was set aside."""
