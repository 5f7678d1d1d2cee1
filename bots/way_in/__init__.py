"""The way in: raw bodies are kept first, and understood afterwards."""
