"""What the files of a desk may say, read and checked with the line where it stands."""
