"""Convolutions and products as the hardware computes them fast; README.md says why."""
