"""Recipe, training, evaluation and run folder put together; resume."""
