"""What the operator sees: a Textual terminal application, a client of the gateway."""
