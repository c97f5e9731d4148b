"""Classifies images with a classifier that `bin/export --format onnx` wrote; needs onnxruntime, numpy and pillow.

python examples/onnx_classify.py classifier.onnx image.png ...
"""

import json
import sys

import numpy as np
import onnxruntime
from PIL import Image

model, *paths = sys.argv[1:]
session = onnxruntime.InferenceSession(model)
about = {name: json.loads(text) for name, text in session.get_modelmeta().custom_metadata_map.items()}
height, width, channels = about["image_shape"]
mode = "L" if channels == 1 else "RGB"
images = [Image.open(path).convert(mode).resize((width, height)) for path in paths]
batch = np.stack([np.asarray(image, np.uint8).reshape(height, width, channels) for image in images])
(probabilities,) = session.run(None, {"images": batch})
for path, row in zip(paths, probabilities, strict=True):
    print(about["class_names"][row.argmax()], f"{row.max():.6f}", path)
