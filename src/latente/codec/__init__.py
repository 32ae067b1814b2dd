"""Compression: samples as the whole numbers of their codes, in an archive that survives damage."""
