"""The networks: presets, two configurable families, models of one's own, summaries and weights files."""
