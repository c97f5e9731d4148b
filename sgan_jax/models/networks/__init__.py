"""Pairs of discriminator and generator, one file each, and their table."""
