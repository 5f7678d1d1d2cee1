"""The operator's console: a terminal screen, and a linear text mode, over the gateway's wire."""
