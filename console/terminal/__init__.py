"""Between the terminal and Textual: what bytes mean as keys, in which layout, and when nobody is there."""
