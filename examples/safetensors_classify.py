"""Classifies images with parameters that `bin/export --format safetensors` wrote; needs sgan_jax and safetensors.

python examples/safetensors_classify.py classifier.safetensors image.png ...
"""

import sys
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from sgan_jax.data.images import read_image
from sgan_jax.export.safetensors import load_safetensors

file, *paths = sys.argv[1:]
classify, about = load_safetensors(Path(file))
height, width, channels = about["image_shape"]
batch = np.stack([read_image(Path(path), channels, (height, width)) for path in paths])
for path, row in zip(paths, np.asarray(classify(jnp.asarray(batch))), strict=True):
    print(about["class_names"][row.argmax()], f"{row.max():.6f}", path)
