"""How the questions run: command line, workspace, sources, engine, demo shop and output."""

__version__ = "0.1.0"

SEMANTICS_VERSION = "1"
"""Changes whenever any number of any report may change on the same data and definition."""
