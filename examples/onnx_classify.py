"""Classifies images with a classifier that `bin/export --format onnx` wrote, as `bin/predict` does.

It needs onnxruntime, numpy and pillow (10.4 or newer).

python examples/onnx_classify.py classifier.onnx image.png ...
"""

import json
import sys

import numpy as np
import onnxruntime
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


model, *paths = sys.argv[1:]
session = onnxruntime.InferenceSession(model)
about = {name: json.loads(text) for name, text in session.get_modelmeta().custom_metadata_map.items()}
height, width, channels = about["image_shape"]
images = []
for path in paths:
    with open(path, "rb") as file, Image.open(file) as image:  # not its name: Pillow 13 misreads some TIFFs by name
        images.append(preprocess(image, channels, (height, width)))
(probabilities,) = session.run(None, {"images": np.stack(images)})
for path, row in zip(paths, probabilities, strict=True):
    print(about["class_names"][row.argmax()], f"{row.max():.6f}", path)
