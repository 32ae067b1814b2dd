"""Finding what does not belong: scores, thresholds, and reasons."""
