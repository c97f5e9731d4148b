"""Classifier and generator in files for other programs."""
