"""What settings and data must be together for training to begin; asked before anything is trained or written."""

import numpy as np

from sgan_jax.config import Config
from sgan_jax.data.load import Dataset, choose_labelled, how_many
from sgan_jax.errors import UserError
from sgan_jax.graph import cache


def labelled_images(config: Config, dataset: Dataset) -> np.ndarray:
    """Indices of the images that keep their label, int64 `[labels]`: those to train on, then those for validation.

    Raises:
      UserError: too few have a label, or the preset compares all images and cannot with these.
    """
    data = config.data
    count = how_many(data.labels, dataset)
    drawn = choose_labelled(dataset.train_labels, count, dataset.num_classes, data.label_seed)
    if (missing := _missing_class(dataset, drawn)) is not None:
        if len(drawn) < dataset.num_classes:
            raise UserError(f"‹data.labels›: {len(drawn)}; must be at least {dataset.num_classes}, one for each class")
        raise UserError(f"‹data.data_dir›: no training image of class '{missing}' has a label; expected one at least")
    if (missing := _missing_class(dataset, split(drawn, config)[0])) is not None:
        raise UserError(
            f"‹data.validation›: keeps all labels of class '{missing}' from training; expected a smaller number"
        )
    if config.propagation.neighbours:
        if dataset.streamed is not None:
            raise UserError(
                f"‹preset› {config.preset}: compares all images with one another, and these do not fit in memory; "
                f"‹preset› consistency does not"
            )
        cache.check_size(dataset, config.propagation)
    return drawn


def split(labelled: np.ndarray, config: Config) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the labelled images, for training and for validation: the last ones, balanced as the first are."""
    first = len(labelled) - config.data.validation
    return labelled[:first], labelled[first:]


def _missing_class(dataset: Dataset, labelled: np.ndarray) -> str | None:
    """A class that none of the images is of."""
    counts = np.bincount(dataset.train_labels[labelled], minlength=dataset.num_classes)
    return None if counts.all() else dataset.class_names[int(counts.argmin())]
