"""What the business knows: records and rules. Imports nothing else of ours and does no I/O."""
