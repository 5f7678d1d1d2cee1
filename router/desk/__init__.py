"""The rules: one pure state machine. No I/O, no clock, no loop."""
