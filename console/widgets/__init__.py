"""The parts of the main screen. Each paints from the picture and posts what the operator did."""
