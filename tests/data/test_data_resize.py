"""Large images are resized by a filter that averages: what is finer than a pixel becomes its mean, not a pattern."""

import numpy as np
import pytest
from PIL import Image

from sgan_jax.data.load import load

FINE = 512  # pixels of a side, with stripes of one pixel


def stripes(kind: str) -> np.ndarray:
    """Black and white, uint8 [512, 512]; their mean is 127.5."""
    rows, columns = np.indices((FINE, FINE))
    return ({"rows": rows, "columns": columns, "squares": rows + columns}[kind] % 2 * 255).astype(np.uint8)


@pytest.mark.parametrize("size", [(28, 28), (64, 64), (48, 128)])
@pytest.mark.parametrize("color", [False, True])
def test_stripes_finer_than_a_pixel_become_grey_in_a_folder_and_in_arrays(tmp_path, size, color):
    images = np.stack([stripes(kind) for kind in ("rows", "columns", "squares")])
    if color:
        images = np.stack([images, 255 - images, images], axis=-1)
    for number, image in enumerate(images):
        folder = tmp_path / "pets" / ("cat" if number else "dog")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{number}.png")
    np.savez(tmp_path / "pets.npz", x_train=images, y_train=["dog", "cat", "cat"])
    from_folder, from_arrays = (
        load(data_dir=path, image_size=size) for path in (tmp_path / "pets", tmp_path / "pets.npz")
    )
    assert from_folder.train_images.shape == (3, *size, 3 if color else 1)
    middle = from_arrays.train_images[:, 3:-3, 3:-3].astype(int)  # the filter is cut off at the border
    assert np.abs(middle - 127.5).max() < 10
    np.testing.assert_array_equal(from_folder.train_images, from_arrays.train_images[[1, 2, 0]])  # cats first
