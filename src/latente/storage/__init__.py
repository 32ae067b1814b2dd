"""Storage: tensors and their description in one file, files that are whole or not there at all."""
