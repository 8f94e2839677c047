"""Studies: what changes what, with repeated seeds."""
