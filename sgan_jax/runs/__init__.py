"""The run directory: the contract between commands."""
