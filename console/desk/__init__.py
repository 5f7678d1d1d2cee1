"""The screen an operator lives in, and its parts."""
