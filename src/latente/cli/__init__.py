"""The command line: ``latente COMMAND``."""
