"""sgan_jax: semi-supervised GANs in JAX, one compiled XLA program a training step."""

import importlib
from typing import Any

__version__ = "0.1.0"

__all__ = ["SGANClassifier", "__version__"]


def __getattr__(name: str) -> Any:
    """`SGANClassifier`, when it is asked for: scikit-learn and JAX take seconds to import."""
    if name != "SGANClassifier":
        raise AttributeError(f"module 'sgan_jax' has no attribute '{name}'")
    try:
        return importlib.import_module("sgan_jax.inference.estimator").SGANClassifier
    except ModuleNotFoundError as error:
        if error.name != "sklearn":
            raise
        raise ImportError("SGANClassifier needs scikit-learn: pip install 'sgan-jax[sklearn]'") from None
