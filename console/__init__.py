"""The operator's console: a terminal screen, and a linear text mode, over the gateway's wire."""

import os

# A key is painted at the next tick of the frame clock: at the library's 60 Hz that alone costs 8 ms
# on average. It reads this variable once, when it is imported, so this is the place.
os.environ.setdefault("TEXTUAL_FPS", "200")
