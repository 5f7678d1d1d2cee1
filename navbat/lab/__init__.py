"""The desk on trial: shown, told as a story, played at random, rehearsed. ``navbat run`` imports nothing of it."""
