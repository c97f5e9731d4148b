"""What config.json holds of a run, read and checked once."""

from pathlib import Path
from typing import Any, NamedTuple

from sgan_jax.config import LARGEST_SIDE, Config, from_json, to_json, validate
from sgan_jax.errors import UserError
from sgan_jax.files import read_json
from sgan_jax.graph.verdict import VERDICTS, Trust


class Images(NamedTuple):
    """A data set, as a run and a trial of a sweep remember it."""

    name: str
    digest: str  # SHA-256, hex

    def __str__(self) -> str:
        return f"{self.name} ({self.digest[:12]}...)"

    def differences(self, now: "Images") -> list[str]:
        """A phrase if the images are others now; their name does not matter."""
        return [f"dataset was {self}, now {now}"] if self.digest != now.digest else []


class DatasetRecord(NamedTuple):
    """The data of a run."""

    name: str
    digest: str  # SHA-256, hex, of images and labels
    notice: str  # a warning that belongs to every figure on these data, or nothing
    train: int  # training images in memory
    image_shape: tuple[int, int, int]  # (H, W, C)
    class_names: tuple[str, ...]
    custom: bool = False
    streamed: int = 0  # unlabelled images that are read from disk
    test: int = 0
    labels_per_class: tuple[int, ...] = ()  # of the labelled images
    labels_file: str = ""  # the CSV file that labels were read from, named or found beside the images
    embeddings: str = ""  # SHA-256, hex, of the vectors that the graph compares; nothing where it compares pixels

    @property
    def images(self) -> Images:
        """Name and digest."""
        return Images(self.name, self.digest)


class Part(NamedTuple):
    """What a part of a run was trained by: the first one, and each resume that differs from the part before."""

    versions: dict[str, Any]
    commit: str | None
    device: dict[str, Any]
    command: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The part as config.json has it."""
        return self._asdict() | {"command": list(self.command)}


class Origin(NamedTuple):
    """The checkpoint with whose weights a run began."""

    run: str  # its directory
    step: int
    sha256: str  # of all leaves of its state
    kept: tuple[str, ...]  # classes of both runs
    new: tuple[str, ...]  # classes that it did not have
    dropped: tuple[str, ...]  # classes that this run does not have


class RunRecord(NamedTuple):
    """All of config.json."""

    config: Config
    dataset: DatasetRecord
    parts: tuple[Part, ...]
    rollbacks: tuple[str, ...] = ()  # why the run went back to a checkpoint, each time that it did
    label_kind: str = ""  # of labels given as an array: "i", "u" or "U", NumPy's kinds
    origin: Origin | None = None  # None where the run began with random weights
    trust: Trust | None = None  # in the propagated labels; None where there are none, or not yet

    @property
    def commits(self) -> list[str]:
        """Those of the sources that trained the run, each once."""
        return list(dict.fromkeys(part.commit for part in self.parts if part.commit))

    def to_json(self) -> dict[str, Any]:
        """The record as config.json has it; `from_json` is the inverse."""
        first, *resumed = (part.to_json() for part in self.parts)
        dataset = self.dataset._asdict()
        dataset["own"] = dataset.pop("custom")
        values = {"config": to_json(self.config), "dataset": dataset, **first}
        values |= {"resumed": resumed} if resumed else {}
        values |= {"origin": self.origin._asdict()} if self.origin else {}
        values |= {"propagated": self.trust._asdict()} if self.trust else {}
        values |= {"rollbacks": list(self.rollbacks)} if self.rollbacks else {}
        return values | ({"estimator": {"labels": self.label_kind}} if self.label_kind else {})


def read_record(path: Path) -> RunRecord:
    """The record in a config.json.

    Raises:
      UserError: it is missing, damaged or of another version.
    """
    values = read_json(path)
    try:
        dataset, parts = _dataset(values["dataset"]), tuple(_part(part) for part in _parts(values))
        rollbacks = tuple(map(str, _of(values.get("rollbacks", []), list)))
        label_kind = str(_of(values.get("estimator", {}), dict).get("labels", ""))
        origin = _origin(values["origin"]) if "origin" in values else None
        trust = _trust(values["propagated"]) if "propagated" in values else None
        settings = _of(values["config"], dict)
    except (KeyError, TypeError, ValueError):
        raise UserError(f"{path}: damaged or of another version; start a new run with ‹run›") from None
    try:
        config = from_json(settings)
        validate(config)
    except UserError as error:
        raise UserError(f"{path}: {error.marked.removeprefix('config.json: ')}") from None
    return RunRecord(config, dataset, parts, rollbacks, label_kind, origin, trust)


def _parts(values: dict[str, Any]) -> list[Any]:
    return [values, *_of(values.get("resumed", []), list)]


def _of(value: Any, kind: type[Any]) -> Any:
    """The value, if it is of the kind."""
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise TypeError(f"{value!r} is not {kind}")
    return value


def _part(values: Any) -> Part:
    command, commit = _of(values, dict).get("command"), values.get("commit")
    return Part(
        _of(values["versions"], dict),
        str(commit) if commit else None,
        _of(values["device"], dict),
        tuple(map(str, command)) if isinstance(command, list) else (),
    )


def _origin(values: Any) -> Origin:
    run, step, sha256 = _of(values["run"], str), _of(values["step"], int), _of(values["sha256"], str)
    return Origin(run, step, sha256, *(tuple(map(str, _of(values[name], list))) for name in Origin._fields[3:]))


def _trust(values: Any) -> Trust:
    verdict = _of(values["verdict"], str)
    if verdict not in VERDICTS:
        raise ValueError(verdict)
    tested, right = (_of(values[name], int) for name in ("tested", "right"))
    return Trust(verdict, tested, right, *(float(_of(values[name], float)) for name in ("kappa", "certainty")))


def _dataset(values: dict[str, Any]) -> DatasetRecord:
    height, width, channels = (_of(side, int) for side in values["image_shape"])
    if not all(1 <= side <= LARGEST_SIDE for side in (height, width, channels)):
        raise ValueError("an image is too large")
    streamed, test = values.get("streamed", 0), values.get("test", 0)
    return DatasetRecord(
        name=_of(values["name"], str),
        digest=_of(values["digest"], str),
        notice=_of(values["notice"], str),
        train=_of(values["train"], int),
        image_shape=(height, width, channels),
        class_names=tuple(map(str, _of(values["class_names"], list))),
        custom=bool(values.get("own", False)),
        streamed=streamed if isinstance(streamed, int) else 0,
        test=test if isinstance(test, int) else 0,
        labels_per_class=tuple(_of(count, int) for count in _of(values.get("labels_per_class", []), list)),
        labels_file=str(values.get("labels_file", "")),
        embeddings=str(values.get("embeddings", "")),
    )
