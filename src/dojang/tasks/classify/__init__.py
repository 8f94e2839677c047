"""One label a picture."""
