"""What is learned: each task gives batches, a loss, scores and pictures."""
