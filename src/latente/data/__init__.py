"""Data: reading them, scaling them, turning tables into numbers and back, giving out batches."""
