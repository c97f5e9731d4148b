"""Data sets from every source as one record."""
