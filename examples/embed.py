"""Computes a vector for each image of a folder by a pretrained network, for `bin/train --embeddings`.

It needs torch, timm, numpy and pillow; timm downloads the weights.

python examples/embed.py FOLDER vectors.npz [MODEL]
"""

import sys
from pathlib import Path

import numpy as np
import timm
import torch
from PIL import Image, ImageOps

folder, out = map(Path, sys.argv[1:3])
network = timm.create_model(sys.argv[3] if len(sys.argv) > 3 else "resnet50", pretrained=True, num_classes=0).eval()
prepare = timm.data.create_transform(**timm.data.resolve_model_data_config(network))
files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in Image.registered_extensions())
vectors = []
for start in range(0, len(files), 64):
    images = [prepare(ImageOps.exif_transpose(Image.open(path)).convert("RGB")) for path in files[start : start + 64]]
    with torch.inference_mode():
        vectors.append(network(torch.stack(images)).numpy())
names = np.array([path.relative_to(folder).as_posix() for path in files])
np.savez(out, names=names, vectors=np.concatenate(vectors))
print(f"{out}: {len(names)} images, vectors of {vectors[0].shape[1]} numbers")
