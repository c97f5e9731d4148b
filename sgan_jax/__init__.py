"""sgan_jax: semi-supervised GANs in JAX, one compiled XLA program a training step."""

__version__ = "0.1.0"
