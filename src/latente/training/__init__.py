"""Training: the loop, its steps, optimisers and schedules."""
