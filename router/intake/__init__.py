"""The intake: raw bodies are kept first, and understood afterwards."""
