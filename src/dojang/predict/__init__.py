"""One weights file, many answers."""
