"""The loop around the step, and what a run records."""
