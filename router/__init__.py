"""What happens: the ordered log, the desk that reads it, and the gateway to the consoles."""
