"""Classifies images with a classifier that `bin/export --format stablehlo` wrote.

It needs jax, flatbuffers, numpy and pillow.

python examples/stablehlo_classify.py classifier.stablehlo.zip image.png ...
"""

import json
import sys
import zipfile

import jax.export
import numpy as np
from PIL import Image

file, *paths = sys.argv[1:]
with zipfile.ZipFile(file) as archive:
    classify = jax.export.deserialize(bytearray(archive.read("program"))).call
    about = json.loads(archive.read("about.json"))
height, width, channels = about["image_shape"]
mode = "L" if channels == 1 else "RGB"
images = [Image.open(path).convert(mode).resize((width, height)) for path in paths]
batch = np.stack([np.asarray(image, np.uint8).reshape(height, width, channels) for image in images])
for path, row in zip(paths, np.asarray(classify(batch)), strict=True):
    print(about["class_names"][row.argmax()], f"{row.max():.6f}", path)
