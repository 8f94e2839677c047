"""A trained network as a file that others run: everything behind decoding in one graph, checked on real pictures."""
