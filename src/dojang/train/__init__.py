"""The loop, its state, and what it is made of."""
