"""Scores of predictions, and the intervals that say how far to trust them; NumPy only."""
