"""Words, lines and marks: what is written on the screen, without a screen."""
