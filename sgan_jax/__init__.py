"""sgan_jax: semi-supervised GANs in JAX, one compiled XLA program a training step."""

import importlib
from typing import Any

__version__ = "0.2.0"

# Public names by the module that has them, imported when asked for: JAX and scikit-learn take seconds to import.
_WHERE = {
    "Config": "sgan_jax.config",
    "SGANClassifier": "sgan_jax.inference.estimator",
    "load": "sgan_jax.inference.library",
    "preset": "sgan_jax.inference.library",
    "train": "sgan_jax.inference.library",
}

__all__ = ["Config", "SGANClassifier", "__version__", "load", "preset", "train"]


def __getattr__(name: str) -> Any:
    """A public name, when it is asked for."""
    if name not in _WHERE:
        raise AttributeError(f"module 'sgan_jax' has no attribute '{name}'")
    try:
        return getattr(importlib.import_module(_WHERE[name]), name)
    except ModuleNotFoundError as error:
        if error.name != "sklearn":
            raise
        raise ImportError("SGANClassifier needs scikit-learn: pip install 'sgan-jax[sklearn]'") from None
