"""One file a verb, no logic of its own."""
