"""Checkpoints: what is restored is what was saved, bit for bit, or an error of one line."""

import errno
import resource
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import pytest

from sgan_jax.engine.optimizers import adam, muon
from sgan_jax.errors import UserError
from sgan_jax.runs import checkpoint
from sgan_jax.runs.checkpoint import Damaged


class State(NamedTuple):
    step: Any
    params: dict[str, Any]


def state(step: int = 3, seed: int = 0) -> State:
    random = np.random.default_rng(seed)
    kernel = random.normal(size=(40, 30)).astype(np.float32)
    kernel[0, :4] = np.nan, np.inf, -0.0, 1e-45  # what a comparison of numbers would let pass
    bias = random.normal(size=(30,)).astype(np.float32)
    return State(np.int32(step), {"conv": {"kernel": kernel, "bias": bias}, "count": np.arange(5, dtype=np.int32)})


def save(directory: Path, *states: State) -> None:
    with checkpoint.saver(directory) as saver:
        for one in states:
            saver.save(int(one.step), one)
            saver.wait()


def bits(tree: Any) -> list[tuple[str, str, tuple[int, ...], bytes]]:
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    arrays = [(jax.tree_util.keystr(path, simple=True, separator="/"), np.asarray(leaf)) for path, leaf in leaves]
    return [(path, str(array.dtype), array.shape, array.tobytes()) for path, array in arrays]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint; tests that damage one take a copy."""
    directory = tmp_path_factory.mktemp("saved")
    save(directory, state(3))
    return directory / "step_3"


@pytest.fixture
def copied(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "step_3"))


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


# --- saving and restoring ---


def test_what_is_restored_is_bit_for_bit_what_was_saved(saved):
    like = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), state())
    for shape_of in (like, state(9, seed=1)):
        restored = checkpoint.restore(saved, shape_of)
        assert isinstance(restored, State)
        assert bits(restored) == bits(state(3))


def test_a_step_whose_checkpoint_was_set_aside_is_saved_again_after_a_reload(tmp_path):
    with checkpoint.saver(tmp_path) as saver:
        for seed in (0, 1):
            saver.save(3, state(3, seed))
            saver.wait()
        assert bits(checkpoint.restore(tmp_path / "step_3", state())) == bits(state(3, 0))  # not replaced
        checkpoint.set_aside(tmp_path / "step_3")
        saver.reload()
        saver.save(3, state(3, 1))
    assert bits(checkpoint.restore(tmp_path / "step_3", state())) == bits(state(3, 1))


def test_state_of_two_optimizers_that_share_a_network_is_restored(tmp_path):
    # Either's moments have gaps where the other's layers are.
    params = {name: {"kernel": np.ones((3, 2), np.float32)} for name in ("dense", "logits")}
    opt = muon(1e-3, 0.95, adam(1e-3, 0.9, 0.99, 1e-7), "logits").init(params)
    save(tmp_path, state()._replace(params=opt))
    restored = checkpoint.restore(tmp_path / "step_3", state()._replace(params=opt))
    assert bits(restored.params) == bits(opt)
    assert jax.tree.structure(restored.params) == jax.tree.structure(opt)


def test_arrays_of_jax_are_saved_like_those_of_numpy(tmp_path):
    on_device = jax.tree.map(jax.numpy.asarray, state())
    save(tmp_path, on_device)
    assert bits(checkpoint.restore(tmp_path / "step_3", on_device)) == bits(state())


def test_a_checkpoint_lies_in_a_directory_named_after_its_step(tmp_path):
    save(tmp_path, state(2), state(600), state(12000))
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["step_12000", "step_2", "step_600"]
    assert checkpoint.steps(tmp_path) == [2, 600, 12000]


def test_no_checkpoint_is_removed_for_another(tmp_path):
    save(tmp_path, *(state(step) for step in range(1, 8)))
    assert checkpoint.steps(tmp_path) == [1, 2, 3, 4, 5, 6, 7]


def test_only_complete_checkpoints_are_listed(tmp_path):
    for name in ("step_3.orbax-checkpoint-tmp", "step_", "step_x", "step_-1", "step_07", "damaged_step_4_1", "step_5"):
        (tmp_path / name).mkdir()
    (tmp_path / "step_6").write_text("a file")
    assert checkpoint.steps(tmp_path) == [5]
    assert checkpoint.steps(tmp_path / "missing") == []


def test_the_state_may_be_overwritten_as_soon_as_save_returns(tmp_path):
    mine = state()
    with checkpoint.saver(tmp_path) as saver:
        saver.save(3, mine)
        mine.params["conv"]["kernel"][:] = 0.0
        mine.params["count"][:] = 0
    assert bits(checkpoint.restore(tmp_path / "step_3", mine)) == bits(state())


def test_a_step_that_was_saved_is_not_saved_again(tmp_path):
    save(tmp_path, state(3, seed=0), state(3, seed=1))
    save(tmp_path, state(3, seed=1))
    assert bits(checkpoint.restore(tmp_path / "step_3", state())) == bits(state(3, seed=0))


def test_what_a_killed_save_left_is_removed_and_its_step_saved(tmp_path):
    left = tmp_path / "step_3.orbax-checkpoint-tmp" / "state"
    left.mkdir(parents=True)
    (left / "part").write_bytes(b"half")
    save(tmp_path, state(3))
    assert [entry.name for entry in tmp_path.iterdir()] == ["step_3"]
    checkpoint.restore(tmp_path / "step_3", state())


def test_what_a_killed_save_left_is_removed_before_anything_else_even_if_nothing_is_saved(tmp_path):
    # Otherwise the program may end while a thread still removes them.
    for number in range(40):
        (tmp_path / f"step_{number}.orbax-checkpoint-tmp" / "state").mkdir(parents=True)
    with checkpoint.saver(tmp_path):
        assert list(tmp_path.iterdir()) == []


def test_a_damaged_checkpoint_can_be_set_aside_and_its_step_saved_again(tmp_path):
    save(tmp_path, state(2), state(3))
    checkpoint.set_aside(tmp_path / "step_3")
    assert checkpoint.steps(tmp_path) == [2]
    save(tmp_path, state(3, seed=1))
    assert bits(checkpoint.restore(tmp_path / "step_3", state())) == bits(state(3, seed=1))
    aside = next(tmp_path.glob("damaged_step_3_*"))
    assert bits(checkpoint.restore(aside, state())) == bits(state(3, seed=0))


def test_a_disk_that_takes_no_more_is_a_one_line_error(tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with pytest.raises(UserError, match=r"cannot save a checkpoint \(.+\)$") as error:
        resource.setrlimit(resource.RLIMIT_FSIZE, (64, before[1]))  # bytes a file: the state needs more
        try:
            save(tmp_path, state())
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "\n" not in str(error.value)
    assert checkpoint.steps(tmp_path) == []


def test_a_file_in_the_place_of_the_checkpoints_is_a_one_line_error(tmp_path):
    (tmp_path / "checkpoints").write_text("")
    with pytest.raises(UserError, match=r"checkpoints: cannot save a checkpoint \(.+\)$"):
        save(tmp_path / "checkpoints", state())


def test_an_error_of_the_training_is_not_hidden_by_that_of_the_saver(tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with pytest.raises(KeyError, match="training"), checkpoint.saver(tmp_path) as saver:
        resource.setrlimit(resource.RLIMIT_FSIZE, (64, before[1]))
        try:
            saver.save(3, state())
            with pytest.raises(UserError):
                saver.wait()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        raise KeyError("training")


# --- removing ---


def test_the_newest_checkpoint_is_never_removed_and_is_whole_before_others_are(tmp_path, monkeypatch):
    events = []
    real = checkpoint.shutil.rmtree

    def removes(path):
        assert bits(checkpoint.restore(tmp_path / "step_3", state())) == bits(state(3))
        events.append(Path(path).name)
        real(path)

    monkeypatch.setattr(checkpoint, "flush", lambda folder: events.append(f"{folder.name} is on the disk"))
    with checkpoint.saver(tmp_path) as saver:
        for step in (1, 2, 3):
            saver.save(step, state(step))
        monkeypatch.setattr(checkpoint.shutil, "rmtree", removes)  # the last one may still be being written
        saver.remove([1, 2, 3, 9])
        assert checkpoint.steps(tmp_path) == [3]
        monkeypatch.undo()
        saver.remove([3])
        saver.save(2, state(2, seed=1))
    assert events[0] == "step_3 is on the disk" and [name[:6] for name in events[1:]] == ["step_1", "step_2"]
    assert bits(checkpoint.restore(tmp_path / "step_2", state())) == bits(state(2, seed=1)), (
        "its step can be saved again"
    )


def test_nothing_is_removed_where_the_newest_checkpoint_cannot_be_written(tmp_path):
    save(tmp_path, state(1), state(2))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, before[1]))
    try:
        with pytest.raises(UserError, match="cannot save a checkpoint"), checkpoint.saver(tmp_path) as saver:
            saver.save(3, state(3))
            saver.remove([1])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert checkpoint.steps(tmp_path) == [1, 2]


def test_what_a_kill_leaves_of_a_removal_is_no_checkpoint_and_goes_with_the_next_saver(tmp_path, monkeypatch):
    save(tmp_path, state(1), state(2))

    def killed(path):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt), checkpoint.saver(tmp_path) as saver:
        patched.setattr(checkpoint.shutil, "rmtree", killed)
        saver.remove([1])
    assert checkpoint.steps(tmp_path) == [2] and len(list(tmp_path.iterdir())) == 2
    save(tmp_path, state(3))
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["step_2", "step_3"]


def test_a_checkpoint_that_cannot_be_removed_is_a_one_line_error(tmp_path, monkeypatch):
    save(tmp_path, state(1), state(2))

    def fails(path):
        raise OSError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(checkpoint.shutil, "rmtree", fails)
    message = r"cannot remove old checkpoints \(.*Permission denied"
    with pytest.raises(UserError, match=message), checkpoint.saver(tmp_path) as saver:
        saver.remove([1])


# --- the digest ---


def renamed(tree: State) -> Any:
    return tree._replace(params={"convolution" if k == "conv" else k: v for k, v in tree.params.items()})


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s._replace(step=np.int32(4)),
        lambda s: s._replace(step=np.int64(3)),
        lambda s: s._replace(params=s.params | {"count": s.params["count"][:4]}),
        lambda s: s._replace(params=s.params | {"count": s.params["count"].reshape(1, 5)}),
        lambda s: s._replace(params=s.params | {"count": s.params["count"].view(np.float32)}),
        lambda s: s._replace(params={"conv": s.params["conv"]}),
        renamed,
    ],
    ids=["value", "dtype", "length", "shape", "same bytes", "leaf gone", "name"],
)
def test_the_digest_changes_with_everything_that_a_leaf_is(change):
    assert checkpoint.digest(change(state())) != checkpoint.digest(state())


def test_the_digest_differs_for_numbers_that_compare_equal():
    zero, minus = {"x": np.float32([0.0])}, {"x": np.float32([-0.0])}
    assert checkpoint.digest(zero) != checkpoint.digest(minus)


def test_the_digest_does_not_depend_on_how_an_array_lies_in_memory():
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert checkpoint.digest({"x": array}) == checkpoint.digest({"x": np.asfortranarray(array)})
    assert checkpoint.digest({"x": array}) == checkpoint.digest({"x": jax.numpy.asarray(array)})


# --- damage ---


def flip(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 0x10
    path.write_bytes(data)


def restored_or_damaged(path: Path) -> bool:
    """Whether the checkpoint is refused; if it is not, it has to be what was saved."""
    try:
        restored = checkpoint.restore(path, state())
    except Damaged as error:
        assert str(error).startswith(f"{path}: the checkpoint is damaged (")
        assert "\n" not in str(error)
        return True
    assert bits(restored) == bits(state())
    return False


def holding_arrays(path: Path) -> list[Path]:
    """The files in which TensorStore keeps the arrays."""
    large = [file for file in files(path / "state" / "ocdbt.process_0" / "d") if file.stat().st_size > 1000]
    assert large
    return large


def test_a_flipped_byte_anywhere_in_the_arrays_is_detected(copied):
    for file in holding_arrays(copied):
        whole, refused = file.read_bytes(), []
        for position in range(0, len(whole), len(whole) // 12):
            flip(file, position)
            refused.append(restored_or_damaged(copied))
            file.write_bytes(whole)
        assert sum(refused) >= 10, "a few bytes of a file may mean nothing, most are numbers"
    assert not restored_or_damaged(copied)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda file: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2]), id="truncated"),
        pytest.param(lambda file: file.write_bytes(b""), id="emptied"),
        pytest.param(lambda file: file.unlink(), id="missing"),
        pytest.param(lambda file: flip(file, file.stat().st_size // 2), id="flipped"),
    ],
)
def test_damage_to_any_file_is_refused_or_harmless(saved, tmp_path, damage: Callable[[Path], object]):
    arrays = {file.relative_to(saved) for file in holding_arrays(saved)}
    refused = set()
    for number, file in enumerate(files(saved)):
        name = file.relative_to(saved)
        copy = Path(shutil.copytree(saved, tmp_path / str(number) / "step_3"))
        damage(copy / name)
        if restored_or_damaged(copy):
            refused.add(name)
    assert refused >= arrays | {Path("meta/metadata")}


def test_an_empty_directory_in_the_place_of_a_checkpoint_is_damaged(tmp_path):
    (tmp_path / "step_3").mkdir()
    with pytest.raises(Damaged, match=r"step_3: the checkpoint is damaged"):
        checkpoint.restore(tmp_path / "step_3", state())


def test_a_damaged_checkpoint_is_an_error_that_lists_the_others(tmp_path):
    save(tmp_path, state(2), state(3))
    (tmp_path / "step_3" / "meta" / "metadata").unlink()
    with pytest.raises(Damaged, match=r"; there are step_2, step_3$"):
        checkpoint.restore(tmp_path / "step_3", state())


# --- other errors ---


def test_an_unknown_checkpoint_is_an_error_that_lists_what_is_there(saved, tmp_path):
    with pytest.raises(UserError, match=r"step_7: no such checkpoint; there are step_3$") as error:
        checkpoint.restore(saved.parent / "step_7", state())
    assert not isinstance(error.value, Damaged)
    with pytest.raises(UserError, match=r"step_7: no such checkpoint; there are no checkpoints$"):
        checkpoint.restore(tmp_path / "step_7", state())


def test_a_directory_that_is_not_a_checkpoint_is_an_error_that_lists_those_beside_it(saved, tmp_path):
    with pytest.raises(UserError, match=r": no checkpoint, but another directory; there are no checkpoints$") as error:
        checkpoint.restore(tmp_path, state())
    assert not isinstance(error.value, Damaged)


def other(change: Callable[[dict[str, Any]], dict[str, Any]]) -> State:
    return state()._replace(params=change(state().params))


@pytest.mark.parametrize(
    ("like", "difference"),
    [
        (
            other(lambda p: p | {"conv": p["conv"] | {"kernel": np.zeros((40, 31), np.float32)}}),
            "params/conv/kernel is float32 (40, 30), expected float32 (40, 31)",
        ),
        (other(lambda p: p | {"count": np.zeros(5, np.uint32)}), "params/count is int32 (5,), expected uint32 (5,)"),
        (other(lambda p: p | {"more": np.zeros(2, np.int32)}), "params/more is absent, expected int32 (2,)"),
        (other(lambda p: {"conv": p["conv"]}), "params/count is int32 (5,), expected none"),
    ],
    ids=["shape", "dtype", "missing", "extra"],
)
def test_a_checkpoint_of_other_networks_is_an_error_that_names_a_leaf(saved, like, difference):
    with pytest.raises(UserError) as error:
        checkpoint.restore(saved, like)
    assert str(error.value) == f"{saved}: a checkpoint of other networks: {difference}"
    assert not isinstance(error.value, Damaged)


def test_files_that_cannot_be_read_now_are_not_taken_for_damaged(copied, monkeypatch):
    for file in files(copied / "state"):
        file.write_bytes(b"")  # as TensorStore fails where it may not read: with an error of its own, in words

    def fails(path):
        raise OSError(errno.EIO, "Input/output error", str(path))

    monkeypatch.setattr(checkpoint.Path, "read_bytes", fails)
    with pytest.raises(UserError, match=r"step_3: cannot be read \(Input/output error\)$") as caught:
        checkpoint.restore(copied, state())
    assert not isinstance(caught.value, Damaged)
    monkeypatch.undo()
    with pytest.raises(Damaged):
        checkpoint.restore(copied, state())
