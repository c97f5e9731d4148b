"""The published sets by name: what their classes are called, and which names no other set may have."""

from __future__ import annotations

import re
from pathlib import Path

_DIGITS = tuple("0123456789")
_CIFAR100 = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle
caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant flatfish
forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle
mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine
possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar
sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle wardrobe whale
willow_tree wolf woman worm
"""

CLASS_NAMES: dict[str, tuple[str, ...]] = {
    "mnist": _DIGITS,
    "fashion_mnist": (
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    "kmnist": ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
    "cifar10": ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    "cifar100": tuple(_CIFAR100.split()),
    "svhn_cropped": _DIGITS,
    "svhn_extra": _DIGITS,
    "stl10": ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck"),
}


_RESERVED = CLASS_NAMES.keys() | {"svhn"}


def local_name(path: Path, otherwise: str) -> str:
    """The name of a data set by its folder, with `-local` added to the name of a published set.

    The contents of the folder are not known, so its results must not be mistaken for results on the published set.

    Args:
      path: the folder.
      otherwise: the name where the folder's own has no usable character.
    """
    name = re.sub(r"[^\w.-]+", "-", path.resolve().name).strip(".-") or otherwise
    return f"{name}-local" if name in _RESERVED or name.startswith("mnist-5k") else name
