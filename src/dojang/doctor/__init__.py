"""Is this data what its owner takes it for? Finds what would make scores wrong, and repairs copies of it."""
