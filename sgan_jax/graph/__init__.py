"""Label propagation along a graph of similar images; README.md explains the method."""
