"""Compression: pictures as the codes of a model, in an archive that survives damage."""
