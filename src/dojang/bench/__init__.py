"""What this machine can do, and how much of it training reaches."""
