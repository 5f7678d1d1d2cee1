"""What other systems tell: one file or folder for each source of business events."""
