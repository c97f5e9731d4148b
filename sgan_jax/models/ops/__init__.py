"""Convolutions and matrix products in the form that is fast on each platform; README.md explains why."""
