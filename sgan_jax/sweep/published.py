"""Published test errors of semi-supervised classifiers, to be plotted beside ours.

Each figure was read in a paper, its abstract, a repository or a log; of Kang et al. only the abstract was read. Most
methods do not augment the labelled images. A deviation is the one over draws of the labelled images.
"""

from typing import NamedTuple


class Published(NamedTuple):
    """What one source reports."""

    method: str
    source: str  # arXiv number or conference, or ""
    dataset: str
    errors: dict[int, tuple[float, float | None]]  # labels: mean of the test error and its deviation, %


PUBLISHED = (
    Published("the tutorial, one draw", "", "mnist", {100: (4.08, None)}),
    Published("CatGAN", "arXiv 1511.06390", "mnist", {100: (1.91, 0.10)}),
    Published("Ladder network", "arXiv 1507.02672", "mnist", {50: (1.62, 0.65), 100: (1.06, 0.37)}),
    Published("VAT", "arXiv 1704.03976", "mnist", {100: (1.36, None)}),
    Published(
        "Improved GAN",
        "arXiv 1606.03498",
        "mnist",
        {20: (16.77, 4.52), 50: (2.21, 1.36), 100: (0.93, 0.065), 200: (0.90, 0.042)},
    ),
    Published("Improved GAN, 10 together", "arXiv 1606.03498", "mnist", {100: (0.86, 0.056), 200: (0.81, 0.043)}),
    Published("Triple-GAN", "arXiv 1703.02291", "mnist", {20: (4.81, 4.95), 50: (1.56, 0.72), 100: (0.91, 0.58)}),
    Published("Bad GAN", "arXiv 1705.09783", "mnist", {100: (0.795, 0.098)}),
    Published("Ladder + PBWN", "arXiv 1710.02338", "mnist", {20: (2.52, 2.42), 50: (1.06, 0.48), 100: (0.91, 0.05)}),
    Published("SNTG", "arXiv 1711.00258", "mnist", {20: (1.36, None)}),
    Published("Kang et al.", "ECCV 2020", "mnist", {100: (0.57, None)}),
    Published(
        "Poisson-MBO, transductive",
        "arXiv 2006.11184",
        "mnist",
        {10: (3.47, 2.58), 20: (2.76, 0.07), 50: (2.76, 0.07), 100: (2.76, 0.07), 200: (2.76, 0.06)},
    ),
    # Given as accuracies: 61.95, 76.14, 78.16, 81.62.
    Published(
        "Poisson-MBO, transductive",
        "arXiv 2006.11184",
        "fashion_mnist",
        {10: (38.05, 5.69), 100: (23.86, 1.42), 200: (21.84, 1.08), 1600: (18.38, 0.47)},
    ),
    Published("CatGAN", "arXiv 1511.06390", "cifar10", {4000: (19.58, 0.46)}),
    Published("Improved GAN", "arXiv 1606.03498", "cifar10", {1000: (21.83, 2.01), 4000: (18.63, 2.32)}),
    Published("Improved GAN, 10 together", "arXiv 1606.03498", "cifar10", {4000: (15.59, 0.47)}),
    Published("ALI", "arXiv 1606.00704", "cifar10", {1000: (19.98, 0.30), 4000: (17.99, 0.54)}),  # has 3 deviations
    Published("Bad GAN", "arXiv 1705.09783", "cifar10", {4000: (14.41, 0.30)}),
    Published("CT-GAN", "README of Mean teacher", "cifar10", {4000: (9.98, 0.21)}),
    Published("Triple-GAN-V2, augmented", "arXiv 1912.09784", "cifar10", {1000: (15.00, None), 4000: (10.01, None)}),
    # WRN-28-2, about a million steps, the lowest error of each run.
    Published("labels only", "USB", "cifar10", {40: (77.58, None), 250: (55.96, None), 4000: (15.51, None)}),
    Published("FixMatch", "USB", "cifar10", {40: (8.33, None), 250: (4.97, None), 4000: (4.29, None)}),
    Published("FreeMatch", "USB", "cifar10", {40: (4.97, None), 250: (4.85, None), 4000: (4.14, None)}),
)
