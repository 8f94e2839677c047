"""A run as one page to read, and as a model card."""
