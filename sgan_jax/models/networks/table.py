"""Generators and discriminators as pure `Net` records. The only package that imports Flax Linen."""

from collections.abc import Callable
from typing import NamedTuple

from sgan_jax.models.networks import compact, mlp, residual, tutorial, wide_residual
from sgan_jax.models.networks.tutorial import discriminator, generator
from sgan_jax.types import Net

__all__ = ["NETWORKS", "Networks", "discriminator", "generator"]


class Networks(NamedTuple):
    """How both players are made; each file documents the arguments."""

    discriminator: Callable[..., Net]
    generator: Callable[..., Net]
    settings: tuple[str, ...] = ()  # of `ModelConfig`, that the discriminator takes besides those of all networks


NETWORKS: dict[str, Networks] = {
    "tutorial": Networks(tutorial.discriminator, tutorial.generator),
    "mlp": Networks(mlp.discriminator, mlp.generator),
    "compact": Networks(compact.discriminator, compact.generator),
    "residual": Networks(residual.discriminator, residual.generator, ("norm", "blocks")),
    "wide_residual": Networks(wide_residual.discriminator, residual.generator, ("norm", "blocks")),
}


def settings_of_some_networks() -> dict[str, list[str]]:
    """The names of the networks that take each of the settings which others do not have."""
    names = {name for networks in NETWORKS.values() for name in networks.settings}
    return {name: [key for key, networks in NETWORKS.items() if name in networks.settings] for name in sorted(names)}
