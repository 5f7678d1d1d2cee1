"""What the camera sees: visits of people, recognised with their consent."""
