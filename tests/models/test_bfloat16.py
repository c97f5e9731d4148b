"""Networks that compute in bfloat16 agree with those in float32 within its rounding, and are float32 outside."""

from functools import cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from nets import drawn, shallow

from sgan_jax.models.heads import HEADS
from sgan_jax.models.networks.table import NETWORKS
from sgan_jax.models.ops.convolutions import MATRIX_PRODUCTS, Maps, maps_for
from sgan_jax.types import Params

IMAGES = jnp.asarray(np.random.default_rng(3).uniform(-1, 1, (4, 12, 12, 1)), jnp.float32)
LATENTS = jnp.asarray(np.random.default_rng(4).normal(size=(4, 6)), jnp.float32)
WIDTHS = {"residual": 8}  # of the generator, which has twice as many channels; of others 16
FARTHEST = {"residual": 0.3}  # what the roundings of ten layers add up to
QUICK = sorted(NETWORKS.keys() - {"tutorial", "residual", "wide_residual"})
IN_BFLOAT16 = pytest.mark.parametrize(
    "maps", [maps_for(platform, "bfloat16") for platform in ("cpu", "gpu")], ids=["cpu", "gpu"]
)


class Computed(NamedTuple):
    """What a pair of networks makes of the same parameters and inputs."""

    loss: jax.Array  # of the class logits
    gradient: Params  # of the loss, by the discriminator's parameters
    images: jax.Array  # of the generator


@cache
def computed(networks: str, maps: Maps) -> Computed:
    """What the networks compute with these maps."""
    made = NETWORKS[networks]
    disc = made.discriminator((12, 12, 1), 5, HEADS["stacked"], width=16, maps=maps, **shallow(networks))
    gen = made.generator((12, 12, 1), 6, WIDTHS.get(networks, 16), maps=maps)

    def loss(params: Params) -> jax.Array:
        return jnp.square(disc.apply(params, IMAGES, None).class_logits).mean()

    compute = jax.jit(lambda d, g: (jax.value_and_grad(loss)(d), gen.apply(g, LATENTS)))
    (value, gradient), images = compute(first_discriminator(networks), drawn(gen))
    return Computed(value, gradient, images)


@cache
def first_discriminator(networks: str) -> Params:
    disc = NETWORKS[networks].discriminator((12, 12, 1), 5, HEADS["stacked"], width=16, **shallow(networks))
    if networks == "tutorial":
        return drawn(disc)
    return jax.jit(disc.init)(jax.random.key(0), IMAGES)


def gradients_in_float32_and_bfloat16(networks: str, maps: Maps) -> list[tuple[jax.Array, jax.Array]]:
    """One pair a parameter; loss and images are compared here."""
    exact, rounded = computed(networks, MATRIX_PRODUCTS), computed(networks, maps)
    assert float(rounded.loss) == pytest.approx(float(exact.loss), rel=0.05)
    assert float(rounded.loss) != float(exact.loss)
    assert rounded.images.dtype == jnp.float32
    np.testing.assert_allclose(rounded.images, exact.images, atol=0.03)
    pairs = list(zip(jax.tree.leaves(exact.gradient), jax.tree.leaves(rounded.gradient), strict=True))
    for a, b in pairs:
        assert (a.dtype, b.dtype) == (jnp.float32, jnp.float32)
    return pairs


@IN_BFLOAT16
def test_computing_in_bfloat16_agrees_within_its_rounding_and_keeps_float32_outside(maps: Maps) -> None:
    for exact, rounded in gradients_in_float32_and_bfloat16("tutorial", maps):
        np.testing.assert_allclose(rounded, exact, atol=0.1 * float(jnp.abs(exact).max()))


@IN_BFLOAT16
@pytest.mark.parametrize("networks", [*QUICK, pytest.param("residual", marks=pytest.mark.slow)])
def test_norms_and_noise_in_bfloat16_leave_logits_gradients_and_images_within_its_rounding(
    networks: str, maps: Maps
) -> None:
    """As above; by length, since a rounded activation beside its kink gets another slope."""
    for exact, rounded in gradients_in_float32_and_bfloat16(networks, maps):
        assert float(jnp.linalg.norm(rounded - exact)) <= FARTHEST.get(networks, 0.2) * float(jnp.linalg.norm(exact))
