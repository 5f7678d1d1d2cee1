"""What navbat is held to, measured: each figure beside a yardstick taken in the same run."""
