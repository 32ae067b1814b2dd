"""Training: the loop, its steps, what a fit has come to, and its checkpoints."""
