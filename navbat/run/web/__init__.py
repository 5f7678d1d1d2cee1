"""The desk's HTTP side: one server for the consoles' wire, web hooks, files and metrics."""
