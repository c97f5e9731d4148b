"""The flag `--device` of commands: on which device they compute."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sgan_jax.errors import UserError

log = logging.getLogger("sgan_jax.device")


@contextmanager
def device_of(command: Any) -> Iterator[None]:
    """Around a command that computes on the device that its flag names; without the flag, on JAX's first one.

    Raises:
      UserError: the device does not exist, or other flags do not permit it.
    """
    flags = next((getattr(command, name) for name in ("call", "plan") if hasattr(command, name)), command)
    name = getattr(flags, "device", None)
    if name is None:
        yield
        return
    several = getattr(flags, "cluster", False) or getattr(flags, "coordinator", None) is not None
    if several or getattr(flags, "ray", None) is not None:
        raise UserError(f"‹device›: {name}; is for one process; of several, set JAX_PLATFORMS of each")
    if ":" in name and getattr(flags, "devices", None) not in (None, 1):
        raise UserError(f"‹device›: {name}; is one device, ‹devices› asks for {flags.devices}; leave one of them out")
    if name.partition(":")[0] == "cpu":
        os.environ["JAX_PLATFORMS"] = "cpu"  # read when JAX is imported: or it would take memory of a GPU
    import jax

    from sgan_jax.engine.devices import named

    device = named(name)
    log.info("device: %s (%s)", name, device.device_kind)
    with jax.default_device(device):
        yield
