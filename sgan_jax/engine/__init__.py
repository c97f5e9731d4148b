"""The compiled training step and what it runs on."""
