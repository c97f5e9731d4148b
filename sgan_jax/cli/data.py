"""`data check`: counts, sizes, memory and problems of images, before training."""

import shlex
from collections.abc import Sized
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from sgan_jax.cli.flags import File, ImageSize, parse_size
from sgan_jax.cli.spelling import command, flag, one_line
from sgan_jax.errors import Several, UserError, spelled
from sgan_jax.presets import ImageFacts, recommended

if TYPE_CHECKING:
    from sgan_jax.data.check import Checked

SHOWN = 10  # sizes, and copies of each kind, that are listed


@dataclass(frozen=True)
class DataCommand:
    """Check your images before training: counts, sizes, memory, files that cannot be used, copies and mistakes."""

    action: Annotated[Literal["check"], tyro.conf.Positional]
    """check."""
    data_dir: Annotated[Path, tyro.conf.Positional]
    """A folder with a folder for each class or a labels.csv, an .npz file, or the files of a published set."""
    image_size: ImageSize = None
    """Size to which the images will be resized: N for N x N pixels, or HEIGHTxWIDTH."""
    labels_file: File = None
    """CSV file of the images' labels, columns file and label; by default labels.csv in the folder, if any."""
    dataset: Annotated[str, tyro.conf.arg(metavar="STR")] = "auto"
    """The published set that the files must be; auto recognises MNIST, Fashion-MNIST, CIFAR-10 and SVHN."""

    def __call__(self) -> int:
        """Prints what is in the images, and how to train on them.

        Raises:
          UserError: they cannot be trained on; several problems are printed before.
        """
        from sgan_jax.config import check_image_size
        from sgan_jax.data.check import check
        from sgan_jax.data.sizes import size_text

        size = None if self.image_size is None else parse_size(self.image_size)
        if size is not None:
            check_image_size(size)
        try:
            checked = check(self.data_dir, size, self.labels_file, self.dataset)
        except Several as error:
            raise _as_one(error.errors, self.data_dir) from None
        _print_kind(checked)
        if checked.labels_file:
            print(f"labels from {checked.labels_file}")
        _print_sizes(checked, size)
        _print_memory(checked)
        _print_left_out(checked)
        _print_counts(checked)
        _print_copies(checked)
        if checked.problems:
            raise _as_one(checked.problems, self.data_dir)
        preset, reason = recommended(_facts(checked, size))
        resize = f" --image-size {size_text(size)}" if size else ""
        labels = f" --labels-file {shlex.quote(str(self.labels_file))}" if self.labels_file else ""
        print(f"preset: {preset}, {reason}")
        place = shlex.quote(str(self.data_dir))
        named = f" --dataset {self.dataset}" if self.dataset != "auto" else ""
        print(f"train on them: {command('train')} --preset {preset} --data-dir {place}{named}{labels}{resize}")
        return 0


def _facts(checked: "Checked", size: tuple[int, int] | None) -> ImageFacts:
    from sgan_jax.data.dataset import UNKNOWN

    height, width = size or checked.sizes[0][0]
    streamed = checked.memory is not None and checked.memory.streamed
    return ImageFacts(height, width, checked.channels, checked.train.total(), checked.train[UNKNOWN], streamed)


def _as_one(problems: tuple[UserError, ...], path: Path) -> UserError:
    """The only problem, or one error for several problems, which are printed."""
    if len(problems) == 1:
        return problems[0]
    print(f"problems: {len(problems)}")
    for problem in problems:
        print(f"  {one_line(spelled(problem.marked, flag))}")
    return UserError(f"{path}: {len(problems)} problems, listed above")


def _print_kind(checked: "Checked") -> None:
    """The name of the set, and what it may be besides: a published set whose files have no checksums on record."""
    kind = checked.kind
    others = f", not those of {' or '.join(kind.not_of)}" if kind.not_of else ""
    ways = ", ".join(f"--dataset {name} if they are {name}" for name in kind.perhaps)
    print(f"set: {checked.name} ({kind.what}{others}{'; ' if ways else ''}{ways})")


def _print_memory(checked: "Checked") -> None:
    from sgan_jax.data.memory import size_text

    if checked.memory is not None:
        host, device, streamed = checked.memory
        ending = "; the unlabelled ones are read from disk" if streamed else ""
        print(f"memory: {size_text(host)} for the images, and on the device {size_text(device)}{ending}")


def _print_sizes(checked: "Checked", target: tuple[int, int] | None) -> None:
    color = "grey" if checked.channels == 1 else "RGB"
    for (height, width), count in checked.sizes[:SHOWN]:
        number = f"{count} of " if checked.is_folder else ""
        resized = f", resized to {_pixels(target)}" if target and (height, width) != target else ""
        print(f"images: {number}{width} x {height} pixels, {color}{resized}")
    if len(checked.sizes) > SHOWN:
        print(f"images: {len(checked.sizes) - SHOWN} other sizes")
    if checked.converted:
        print(f"images: {checked.converted} are grey and become RGB as the others")


def _pixels(size: tuple[int, int]) -> str:
    """The size after resizing; in words where height and width could be mixed up."""
    height, width = size
    return f"{width} x {height}" if height == width else f"height {height}, width {width}"


def _print_left_out(checked: "Checked") -> None:
    if checked.left_out:
        print(f"left out: {_counted(checked.left_out, 'file')}")
        for name, reason in checked.left_out:
            print(f"  {one_line(name)}: {reason}")


def _counted(things: Sized, noun: str) -> str:
    return f"{len(things)} {noun}{'s' * (len(things) != 1)}"


def _print_counts(checked: "Checked") -> None:
    from sgan_jax.data.dataset import UNKNOWN

    width = max(map(len, ("unlabelled", *checked.class_names)))
    print(f"\n{'class':{width}}  labelled     test")
    for label, name in enumerate(checked.class_names):
        print(f"{name:{width}}  {checked.train[label]:8d} {checked.test[label]:8d}")
    unlabelled = checked.train[UNKNOWN]
    print(f"{'unlabelled':{width}}  {unlabelled:8d}")
    if not unlabelled:
        print("no unlabelled images: --labels N keeps N labels and uses the other images without theirs")
    if not checked.test:
        print("no test images: --validation N keeps N labelled ones from training to measure on")
    print()


def _print_copies(checked: "Checked") -> None:
    from sgan_jax.data.check import BETWEEN_CLASSES, BETWEEN_SPLITS, WITHIN_A_CLASS

    for kind in (BETWEEN_SPLITS, BETWEEN_CLASSES, WITHIN_A_CLASS):
        pairs = [copy for copy in checked.copies if copy.kind == kind]
        if pairs:
            print(f"the same image {kind}: {len(pairs)}")
            for copy in pairs[:SHOWN]:
                print(f"  {one_line(copy.name)} is {one_line(copy.original)}")
            if len(pairs) > SHOWN:
                print("  ...")
