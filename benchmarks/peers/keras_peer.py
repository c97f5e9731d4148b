"""The tutorial's step as Keras 3 on TensorFlow runs it: four `train_on_batch` calls.

bin/bench --make-peers      makes its environment
"""

import time

BEGAN = time.time()

import os  # noqa: E402
import sys  # noqa: E402
from pathlib import Path  # noqa: E402

sys.path.insert(0, str(Path(__file__).resolve().parent))
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import keras  # noqa: E402
import numpy as np  # noqa: E402
from keras import layers, ops  # noqa: E402
from worker import serve  # noqa: E402

HALF, BATCH, LATENT, CLASSES = 50, 100, 100, 10


def adam():
    return keras.optimizers.Adam(2e-4, beta_1=0.5)


def real_probability(logits):
    z = ops.sum(ops.exp(logits), axis=-1, keepdims=True)
    return z / (z + 1.0)


def build():
    image = layers.Input((28, 28, 1))
    x = image
    for _ in range(3):
        x = layers.LeakyReLU(negative_slope=0.2)(layers.Conv2D(128, 3, strides=2, padding="same")(x))
    logits = layers.Dense(CLASSES)(layers.Dropout(0.4)(layers.Flatten()(x)))
    classifier = keras.Model(image, layers.Activation("softmax")(logits))
    classifier.compile(loss="sparse_categorical_crossentropy", optimizer=adam(), metrics=["accuracy"])
    critic = keras.Model(image, layers.Lambda(real_probability, output_shape=(1,))(logits))
    critic.compile(loss="binary_crossentropy", optimizer=adam())

    latent = layers.Input((LATENT,))
    x = layers.Reshape((7, 7, 128))(layers.LeakyReLU(negative_slope=0.2)(layers.Dense(7 * 7 * 128)(latent)))
    for _ in range(2):
        x = layers.LeakyReLU(negative_slope=0.2)(layers.Conv2DTranspose(128, 4, strides=2, padding="same")(x))
    generator = keras.Model(latent, layers.Conv2D(1, 7, activation="tanh", padding="same")(x))

    gan = keras.Model(generator.input, critic(generator.output))
    freeze_while_tracing(gan, critic, generator)
    return classifier, critic, generator, gan


def freeze_while_tracing(gan, critic, generator):
    """Compiles the generator's step so that it leaves the discriminator as it is, and checks that.

    Keras 3 asks which weights are trainable when it traces the step, in the first call, and not at `compile`: the
    tutorial's order (freeze, compile, thaw) trains the discriminator to call generated images real.
    """

    def generator_step():
        gan.train_on_batch(np.zeros((BATCH, LATENT), "float32"), np.ones((BATCH, 1)))

    def moved(model, since):
        return any((w.numpy() != old).any() for w, old in zip(model.weights, since, strict=True))

    critic.trainable = False
    gan.compile(loss="binary_crossentropy", optimizer=adam())
    gan.optimizer.build(gan.trainable_variables)
    variables = [*gan.variables, *gan.optimizer.variables]
    began = [v.numpy() for v in variables]
    generator_step()
    critic.trainable = True
    before = [[w.numpy() for w in model.weights] for model in (critic, generator)]  # not the state of dropout's seed
    generator_step()
    assert not moved(critic, before[0]), "the generator's step trains the discriminator"
    assert moved(generator, before[1]), "the generator's step does not train the generator"
    for variable, value in zip(variables, began, strict=True):
        variable.assign(value)


def main():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (4000, 28, 28, 1)).astype("float32")  # the same work as on digits
    y = np.arange(4000) % CLASSES
    classifier, critic, generator, gan = build()

    def latents(n):
        return rng.standard_normal((n, LATENT), dtype="float32")

    def step():
        i = rng.integers(0, 100, HALF)
        classifier.train_on_batch(x[i], y[i])
        critic.train_on_batch(x[rng.integers(0, len(x), HALF)], np.ones((HALF, 1)))
        critic.train_on_batch(generator.predict(latents(HALF), verbose=0), np.zeros((HALF, 1)))
        gan.train_on_batch(latents(BATCH), np.ones((BATCH, 1)))

    serve(f"keras {keras.__version__} on {keras.backend.backend()}", step, BEGAN)


if __name__ == "__main__":
    main()
