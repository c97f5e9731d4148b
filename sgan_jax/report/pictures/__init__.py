"""Pictures: grids of images, confusion matrices, curves of errors and losses, diagrams of networks. No JAX here."""

from sgan_jax.report.pictures.canvas import luminance, png, readable_ink
from sgan_jax.report.pictures.confusion import confusion_colors, confusion_figure, save_confusion
from sgan_jax.report.pictures.curves import curves_svg, reliability_svg
from sgan_jax.report.pictures.diagram import Layer, Network, arrange, diagram_figure, save_diagram
from sgan_jax.report.pictures.errors import Curve, Point, errors_figure, save_errors
from sgan_jax.report.pictures.grid import enlargement, grid, grid_width, png_of, save_animation, save_grid, size_of

__all__ = [
    "Curve",
    "Layer",
    "Network",
    "Point",
    "arrange",
    "confusion_colors",
    "confusion_figure",
    "curves_svg",
    "diagram_figure",
    "enlargement",
    "errors_figure",
    "grid",
    "grid_width",
    "luminance",
    "png",
    "png_of",
    "readable_ink",
    "reliability_svg",
    "save_animation",
    "save_confusion",
    "save_diagram",
    "save_errors",
    "save_grid",
    "size_of",
]
