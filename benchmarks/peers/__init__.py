"""The sides of the comparison, each run in its own environment: `python -m peers.NAME`."""
