"""Anomaly detection: scores, thresholds and reasons."""
