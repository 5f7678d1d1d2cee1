"""What the desk's figures mean: pure rules, and the questions that are asked of what they keep."""
