"""What operators do: each function carries one command out, or refuses it."""
