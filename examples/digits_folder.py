"""Writes the digits inside the package as a folder of custom images, with ten labels for each class.

bin/_python examples/digits_folder.py digits
"""

import sys
from pathlib import Path

from PIL import Image

from sgan_jax.data.load import choose_labelled, load_embedded

folder = Path(sys.argv[1])
digits = load_embedded()
labelled = set(choose_labelled(digits.train_labels, 100, digits.num_classes, seed=0).tolist())
train = [str(label) if i in labelled else "unlabelled" for i, label in enumerate(digits.train_labels)]
test = [f"test/{label}" for label in digits.test_labels]
for names, images in ((train, digits.train_images), (test, digits.test_images)):
    for index, (name, image) in enumerate(zip(names, images, strict=True)):
        (folder / name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[..., 0]).save(folder / name / f"{index}.png")
