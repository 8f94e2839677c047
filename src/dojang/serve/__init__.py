"""A run as a service on this machine: pictures in over HTTP, answers out, and a page."""
