"""The screens: signing in, the desk itself, and the small ones that ask or show something."""
