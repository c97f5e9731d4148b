"""Many training runs compared."""
