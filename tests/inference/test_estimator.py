"""The scikit-learn classifier: its contract, and that it is the same engine."""

import pickle
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from outer import RUN, finished_run, metrics
from rooms import RUN as ROOMS
from rooms import picture, trained
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler
from sklearn.utils import estimator_checks

import sgan_jax
from sgan_jax import SGANClassifier
from sgan_jax.data.load import load_embedded
from sgan_jax.runs.directory import RunDir

TINY = {"preset": "supervised", "width": 8, "batch_size": 4, "steps": 40, "steps_per_epoch": 40, "learning_rate": 0.003}
KINDS = np.array(["floor", "sky"] * 30)
X = np.stack([np.asarray(picture(kind, 2000 + seed)) for seed, kind in enumerate(KINDS)])
NUMBERS = np.where(np.arange(60) < 10, np.where(KINDS == "sky", 7, 3), -1)  # ten labels


@cache
def fitted() -> SGANClassifier:
    return SGANClassifier(**TINY).fit(X, NUMBERS)


def test_it_learns_from_ten_labels_and_predicts_them() -> None:
    probabilities = fitted().predict_proba(X)
    assert probabilities.shape == (60, 2)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert fitted().classes_.tolist() == [3, 7] and fitted().n_features_in_ == X[0].size
    np.testing.assert_array_equal(fitted().predict(X), np.where(KINDS == "sky", 7, 3))
    assert fitted().score(X, NUMBERS) == 1.0
    half = NUMBERS.copy()
    half[:5] = 10 - half[:5]  # five of the ten that count are now wrong
    assert fitted().score(X, half) == 0.5


def test_the_same_seed_gives_the_same_bits_and_labels_may_be_text() -> None:
    text = np.where(np.arange(60) < 10, KINDS, "-1")
    again = SGANClassifier(**TINY, random_state=0).fit(X / 255.0, text)
    assert again.classes_.tolist() == ["floor", "sky"]
    np.testing.assert_array_equal(again.predict_proba(X), fitted().predict_proba(X))
    assert again.predict(X[:2]).tolist() == ["floor", "sky"]


def test_a_head_without_a_classifier_is_an_error_before_it_is_trained(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="^head: 'real_fake' has no classifier to fit$"):
        SGANClassifier(**TINY, head="real_fake", run_dir=tmp_path / "run").fit(X, NUMBERS)
    assert not (tmp_path / "run").exists()


def test_nothing_of_the_callers_is_changed_or_printed(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    x, y = X.copy(), NUMBERS.copy()
    model = SGANClassifier(**TINY | {"steps": 1})
    params = model.get_params()
    assert model.fit(x, y) is model
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(y, NUMBERS)
    assert model.get_params() == params
    assert capsys.readouterr().out == "" and list(tmp_path.iterdir()) == []


def test_saved_loaded_and_pickled_it_predicts_the_same_and_commands_take_what_it_saved(does, tmp_path: Path) -> None:
    expected = fitted().predict_proba(X)
    run = fitted().save(tmp_path / "run")
    for other in (SGANClassifier.load(run), pickle.loads(pickle.dumps(fitted()))):
        np.testing.assert_array_equal(other.predict_proba(X), expected)
        assert other.classes_.tolist() == [3, 7]
        np.testing.assert_array_equal(other.sample(5), fitted().sample(5))
    picture("sky", 5).save(tmp_path / "a.png")
    assert does("predict", "--run", "run", "a.png").split()[0] == "7"
    with pytest.raises(ValueError, match="run: exists; expected a new or empty directory"):
        fitted().save(run)
    with pytest.raises(ValueError, match="no such run directory"):
        SGANClassifier.load(tmp_path / "nowhere")
    samples = fitted().sample(5, random_state=1)
    assert samples.shape == (5, *X.shape[1:]) and samples.dtype == np.uint8
    assert (samples != fitted().sample(5)).any()


@pytest.mark.slow
def test_in_a_pipeline_and_in_cross_validation_images_may_come_as_rows() -> None:
    labelled = X[:12].mean(axis=-1).reshape(12, -1), KINDS[:12]
    line = make_pipeline(FunctionTransformer(lambda rows: rows / 255.0), SGANClassifier(**TINY))
    scores = cross_val_score(line, *labelled, cv=2)
    assert scores.shape == (2,) and (scores >= 0.5).all()
    with pytest.raises(ValueError, match="rows of 143 pixels; which is not square; give image_shape"):
        SGANClassifier(**TINY).fit(labelled[0][:, :143], labelled[1])
    oblong = SGANClassifier(**TINY | {"steps": 1}, image_shape=(8, 18)).fit(labelled[0] / 255.0, labelled[1])
    assert oblong.image_shape_ == (8, 18, 1)


@pytest.mark.slow
def test_a_scaler_of_each_pixel_may_give_values_outside_its_range_in_cross_validation(caplog) -> None:
    rows = X[:12].mean(axis=-1).reshape(12, -1)
    assert MinMaxScaler().fit(rows[:6]).transform(rows[6:]).max() > 1.4
    line = make_pipeline(MinMaxScaler(), SGANClassifier(**TINY | {"steps": 1}))
    scores = cross_val_score(line, rows, KINDS[:12], cv=2, error_score="raise")
    assert np.isfinite(scores).all()
    assert len([line for line in caplog.messages if "outside 0 to 1 are clipped" in line]) == 2
    with pytest.raises(ValueError, match=r"X: values from -1\.0 to 0\.4.*; expected floats of 0 to 1"):
        fitted().predict(X / 127.5 - 1)


def test_slips_are_value_errors_of_one_line() -> None:
    with pytest.raises(NotFittedError):
        SGANClassifier().predict(X)
    for arguments, message in (
        ((X, NUMBERS[:5]), "y: 5 labels for 60 images"),
        ((X, np.zeros(60)), "y: type float64; expected integers"),
        ((X, np.zeros(60, int)), "y: one class only, 0"),
        ((X.astype(float), NUMBERS), "X: values from 0.0 to .*; expected floats of 0 to 1"),
        ((X[0, 0], NUMBERS), "X: "),
        (([[1, 2], [3]], NUMBERS), r"X: no array \(.*\); expected \[N, H, W\]"),
    ):
        with pytest.raises(ValueError, match=message) as error:
            SGANClassifier(**TINY).fit(*arguments)
        assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match="unknown preset 'bset'"):
        SGANClassifier("bset").fit(X, NUMBERS)
    with pytest.raises(ValueError, match=r"images of shape \(6, 12, 3\); expected \(12, 12, 3\) as in fit"):
        fitted().predict(X[:, :6])


@pytest.mark.parametrize(
    ("parameter", "value", "expected"),
    [
        ("random_state", np.random.default_rng(0), "an integer from 0 to 4294967295, a numpy.random.RandomState, or "),
        ("random_state", -1, "an integer from 0"),
        ("random_state", 2**32, "an integer from 0"),
        ("random_state", 1.0, "an integer from 0"),
        ("random_state", True, "an integer from 0"),
        ("steps", 2.0, "a whole number or none"),
        ("epochs", np.float64(2), "a whole number"),
        ("batch_size", "8", "a whole number"),
        ("width", True, "a whole number"),
        ("learning_rate", "0.1", "a number"),
        ("head", 1, "text"),
        ("preset", ["best"], "text, the name of a preset"),
        ("settings", [("seed", 1)], "None or settings by their place"),
        ("image_shape", 12, r"None, \(H, W\) or \(H, W, C\)"),
        ("image_shape", (12.0, 12), r"None, \(H, W\) or \(H, W, C\)"),
        ("image_shape", (True, 12), r"None, \(H, W\) or \(H, W, C\)"),
        ("image_shape", ("a", "b"), r"None, \(H, W\) or \(H, W, C\)"),
        ("image_shape", (0, 12), r"None, \(H, W\) or \(H, W, C\)"),
        ("averaged", "yes", "True or False"),
        ("run_dir", 3, "None or the path of a folder"),
        ("run_dir", "", "None or the path of a folder"),
        ("verbose", "no", "True or False"),
    ],
)
def test_a_parameter_of_another_type_is_a_value_error_that_names_it(parameter, value, expected) -> None:
    model = SGANClassifier(**TINY | {parameter: value})  # nothing is checked here, by scikit-learn's rules
    with pytest.raises(ValueError, match=rf"^{parameter}: .*; expected {expected}") as error:
        model.fit(X, NUMBERS)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"data.data_dir": "pets"}, "data.data_dir: images and labels are the arguments of fit; leave it out"),
        ({"data.dataset": "mnist"}, "data.dataset: images and labels are the arguments of fit; leave it out"),
        (
            {"propagation.embeddings": "v.npy"},
            "propagation.embeddings: fit takes no embeddings; train on a folder or an .npz file for them",
        ),
        ({"model.width": 16}, "model.width: given as width already; leave one of them out"),
        ({"preset": "fast"}, "preset: given as preset already; leave one of them out"),
    ],
)
def test_settings_that_would_be_ignored_or_are_given_twice_are_errors(settings, message) -> None:
    with pytest.raises(ValueError, match=f"^settings: {message}$"):
        SGANClassifier(**TINY, settings=settings).fit(X, NUMBERS)
    with pytest.raises(ValueError, match="^settings: seed: given as random_state already"):
        SGANClassifier(random_state=1, settings={"seed": 1}).fit(X, NUMBERS)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda model: model.score(X, NUMBERS[:5]), "y: 5 labels for 60 images; expected one each"),
        (lambda model: model.score(X, NUMBERS, [1.0, 2.0]), r"sample_weight: shape \(2,\); expected \(60,\)"),
        (lambda model: model.score(X, np.full(60, -1)), "y: no label; expected one at least"),
        (lambda model: model.score(X, KINDS), "y: label 'floor'; expected integers, as in fit"),
        (lambda model: model.score(None, NUMBERS), "y: 60 labels for 0 images"),
        (lambda model: model.sample(-1), "count: -1; expected a whole number of images, at least 1"),
        (lambda model: model.sample("3"), "count: '3'; expected a whole number"),
        (lambda model: model.save(None), "path: None; expected the path of a run directory"),
        (lambda model: model.load(3), "path: 3; expected the path of a run directory"),
        (lambda model: model.load("run", 7200), "ckpt: 7200; expected latest, best or a step such as step_7200"),
    ],
)
def test_slips_in_the_arguments_of_methods_are_value_errors_of_one_line(call, message) -> None:
    with pytest.raises(ValueError, match=f"^{message}") as error:
        call(fitted())
    assert "\n" not in str(error.value)
    with pytest.raises(NotFittedError):
        SGANClassifier().score(X, NUMBERS)


def seeds_of(random_state: object, fits: int = 2) -> list[int]:
    """The seeds of so many fits of one estimator."""
    model = SGANClassifier("supervised", width=2, steps=1, random_state=random_state)
    return [model.fit(X[:8], NUMBERS[:8]).record_.config.seed for _ in range(fits)]


@pytest.mark.slow
def test_a_random_state_gives_another_seed_at_each_fit_and_an_integer_of_any_kind_the_same() -> None:
    first, second = seeds_of(np.random.RandomState(5))
    assert first != second
    assert seeds_of(np.random.RandomState(5)) == [first, second]
    assert seeds_of(7) == [7, 7] and seeds_of(np.uint8(7), 1) == seeds_of(np.int64(7), 1) == [7]
    assert seeds_of(None) == [0, 0]
    state, again = np.random.RandomState(1), np.random.RandomState(1)
    np.testing.assert_array_equal(fitted().sample(2, state), fitted().sample(2, again))
    assert (fitted().sample(2, state) != fitted().sample(2, again.randint(10))).any()
    with pytest.raises(ValueError, match="^random_state: 'a'; expected an integer"):
        fitted().sample(2, "a")


@pytest.mark.slow
def test_a_grid_of_numpys_numbers_is_searched() -> None:
    grid = {
        "batch_size": np.arange(2, 3),
        "learning_rate": np.logspace(-2, -2, 1),
        "settings": [{"model.width": np.int32(2), "ema_decay": np.float32(0.5)}],
        "averaged": np.array([True]),
        "image_shape": [np.array([12, 36])],
    }
    search = GridSearchCV(SGANClassifier("supervised", steps=1), grid, cv=2, error_score="raise")
    search.fit(X[:8].reshape(8, -1), KINDS[:8])
    config = search.best_estimator_.record_.config
    assert (config.batch_size, config.model.width, config.ema_decay) == (2, 2, 0.5)
    assert config.adam.learning_rate == 0.01
    assert search.best_estimator_.image_shape_ == (12, 36, 1)


# By name: `check_estimator` itself stops after the first of one whose tags say that it takes images alone.
@pytest.mark.parametrize(
    "name",
    [
        "estimator_cloneable",
        "estimator_repr",
        "estimator_tags_renamed",
        "valid_tag_types",
        "mixin_order",
        "get_params_invariance",
        "set_params",
        "parameters_default_constructible",
        "no_attributes_set_in_init",
        "do_not_raise_errors_in_init_or_set_params",
        "estimators_unfitted",
    ],
)
def test_scikit_learns_own_checks_that_apply_to_images(name: str) -> None:
    getattr(estimator_checks, f"check_{name}")("SGANClassifier", SGANClassifier(**TINY))


def test_every_setting_of_the_configuration_can_be_given_by_its_place() -> None:
    settings = {"model.dropout": 0.1, "augment.extra": ["mirror"], "seed": 5}
    model = SGANClassifier(**TINY | {"steps": 1}, settings=settings).fit(X, NUMBERS)
    config = model.record_.config
    assert (config.model.dropout, config.augment.extra, config.seed) == (0.1, ("mirror",), 5)
    assert (config.model.width, config.data.labels) == (8, 10)
    for wrong, message in (
        ({"model.depth": 3}, "no setting is named 'model.depth'"),
        ({"model.dropout": "much"}, "model.dropout: 'much'; expected a number"),
        ({"model.width": 0}, "width: 0; must be between 1 and 65536"),
    ):
        with pytest.raises(ValueError, match=message):
            SGANClassifier(settings=wrong).fit(X, NUMBERS)


def test_a_clone_is_as_its_original_before_fit() -> None:
    assert clone(fitted()).get_params() == fitted().get_params()
    with pytest.raises(NotFittedError):
        clone(fitted()).predict(X)


def test_the_package_has_it_and_nothing_else_by_that_way() -> None:
    assert sgan_jax.SGANClassifier is SGANClassifier
    with pytest.raises(AttributeError, match="no attribute 'SGAN'"):
        _ = sgan_jax.SGAN


def test_labels_as_tables_have_them_and_numbers_as_grids_of_parameters_have_them() -> None:
    text = [KINDS[index] if index < 10 else -1 for index in range(60)]
    settings = TINY | {"steps": np.int64(1), "learning_rate": np.float64(0.003)}
    model = SGANClassifier(**settings, random_state=np.int64(3)).fit(X, np.array(text, dtype=object))
    assert model.classes_.tolist() == ["floor", "sky"]
    assert 0 <= model.score(X, np.array(text, dtype=object)) <= 1
    with pytest.raises(ValueError, match="y: no label; expected at least two classes"):
        model.fit(X, np.array([None] * 60))
    with pytest.raises(ValueError, match="type float64; expected integers"):
        model.fit(X, np.array([1.5, None] * 30))


@pytest.mark.parametrize("missing", ["", " ", "nan", "NA", None, float("nan"), b"None", "unlabelled"])
def test_missing_labels_are_no_class(missing: object) -> None:
    labels = np.array([KINDS[index] if index < 10 else missing for index in range(60)], object)
    model = SGANClassifier(**TINY | {"steps": 1}).fit(X, labels)
    assert model.classes_.tolist() == ["floor", "sky"]
    assert model.labelled_.tolist() == SGANClassifier(**TINY | {"steps": 1}).fit(X, NUMBERS).labelled_.tolist()
    assert model.score(X, labels) == model.score(X[:10], KINDS[:10])


def test_labels_that_may_be_none_are_value_errors() -> None:
    for labels, message in (
        (
            np.where(NUMBERS == 7, 1, NUMBERS.clip(max=0)).astype(np.uint8),
            "label 255 is what -1 becomes as uint8",
        ),
        (np.where(np.arange(60) < 10, KINDS, "unknown"), "label 'unknown' may mean no label; use -1 if it does"),
        (np.where(np.arange(60) < 10, KINDS, "Sky "), "classes 'Sky ' and 'sky' differ in spelling only"),
        (np.array([b"floor", b"sk\xff"] * 30), "y: bytes that are not UTF-8"),
    ):
        with pytest.raises(ValueError, match=message):
            SGANClassifier(**TINY).fit(X, labels)


def test_bytes_are_text() -> None:
    model = SGANClassifier(**TINY | {"steps": 1}).fit(
        X, np.char.encode(np.where(KINDS == "sky", "ciel", "été"), "utf-8")
    )
    assert model.classes_.tolist() == ["ciel", "été"]


def test_images_that_are_nearly_black_are_warned_of_in_fit_alone(caplog: pytest.LogCaptureFixture) -> None:
    model = SGANClassifier(**TINY | {"steps": 1}).fit(X // 16, NUMBERS)
    assert "X: the largest value is 11; expected integers of 0 to 255, or floats of 0 to 1" in caplog.text
    caplog.clear()
    model.predict(X // 16)
    SGANClassifier(**TINY | {"steps": 1}).fit(X, NUMBERS)
    assert "largest value" not in caplog.text


def test_a_run_of_train_whose_classes_are_numbers_is_scored_by_numbers(tmp_path: Path) -> None:
    loaded = SGANClassifier.load(finished_run()[0] / RUN)
    digits = load_embedded()
    accuracy = loaded.score(digits.test_images, digits.test_labels)
    assert loaded.classes_.tolist() == list(range(10))
    assert accuracy == metrics(finished_run()[0] / RUN)[-1]["test_accuracy"]
    rooms = SGANClassifier.load(trained()[0] / ROOMS)
    assert rooms.classes_.tolist() == ["floor", "sky"]


def test_what_was_saved_is_reported_and_evaluated_on_the_arrays_it_was_trained_on(does, fails, tmp_path: Path) -> None:
    fitted().save(tmp_path / "run")
    does("report", "--run", "run")
    assert "step 0 of" not in (tmp_path / "run" / "report.html").read_text()
    assert "give them as --data-dir FILE.npz" in fails("eval", "--run", "run")
    np.savez(tmp_path / "arrays.npz", x_train=X, y_train=NUMBERS)
    assert "Train Accuracy: 100" in does("eval", "--run", "run", "--data-dir", "arrays.npz")


def test_an_earlier_checkpoint_brings_the_figures_of_its_own_step(tmp_path: Path) -> None:
    run = finished_run()[0] / RUN
    earlier = next(line for line in metrics(run) if line["step"] == 4)
    model = SGANClassifier.load(run, "step_4")
    assert {name: model.result_[name] for name in earlier} == earlier
    saved = RunDir(model.save(tmp_path / "run"))
    assert metrics(saved.path)[0]["test_accuracy"] == earlier["test_accuracy"]
    assert saved.result() == {}, "it has not ended there"
    assert SGANClassifier.load(run).result_ == RunDir(run).result()
