"""A weights file and a split: scores, files, pictures."""
