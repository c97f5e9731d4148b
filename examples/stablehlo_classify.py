"""Classifies images with a classifier that `bin/export --format stablehlo` wrote, as `bin/predict` does.

It needs jax, flatbuffers, numpy and pillow (10.4 or newer).

python examples/stablehlo_classify.py classifier.stablehlo.zip image.png ...
"""

import json
import sys
import zipfile

import jax.export
import numpy as np
from PIL import Image, ImageOps


def preprocess(image, channels, size=None):
    """The pixels of an image as it is displayed, uint8 [H, W, channels]; a copy of sgan_jax/data/preprocess.py."""
    if image.mode in ("I", "F"):
        raise ValueError(f"mode {image.mode}, not 8 or 16 bits a channel")
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16"):  # Pillow would clip values above 255
        image = Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8))
    if image.mode == "LAB":  # Pillow converts it to RGB alone
        image = image.convert("RGB")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    image = image.convert("L" if channels == 1 else "RGB")
    if size is not None and (image.height, image.width) != size:
        image = image.resize(size[::-1], Image.Resampling.LANCZOS)
    return np.asarray(image, np.uint8).reshape(image.height, image.width, channels)


file, *paths = sys.argv[1:]
with zipfile.ZipFile(file) as archive:
    classify = jax.export.deserialize(bytearray(archive.read("program"))).call
    about = json.loads(archive.read("about.json"))
height, width, channels = about["image_shape"]
images = []
for path in paths:
    with open(path, "rb") as opened, Image.open(opened) as image:  # not its name: Pillow 13 misreads some TIFFs by name
        images.append(preprocess(image, channels, (height, width)))
for path, row in zip(paths, np.asarray(classify(np.stack(images))), strict=True):
    print(about["class_names"][row.argmax()], f"{row.max():.6f}", path)
