"""The devices of this machine: what they are good at, and how several of them split a step."""

import errno
import hashlib
import re
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from sgan_jax.config import between
from sgan_jax.errors import UserError, reason
from sgan_jax.types import Net

PATIENCE = 300  # seconds that the processes of a run wait for one another at its start
CPU_FLAGS = frozenset({"amx_bf16", "avx512_bf16"})  # either multiplies bfloat16 faster than float32


def available() -> list[jax.Device]:
    """The devices that JAX computes on, of all processes; whatever asks for a device begins here.

    Within `jax.default_device` that device is the first, and the others are those of its kind.

    Raises:
      UserError: there are none of the kind that JAX_PLATFORMS asks for, or they cannot be used.
    """
    try:
        chosen = jax.config.jax_default_device  # a device, the name of a kind, or None
        if chosen is None or jax.process_count() > 1:
            return jax.devices()
        if isinstance(chosen, str):
            return jax.devices(chosen)
        return [chosen, *(device for device in jax.devices(chosen.platform) if device != chosen)]
    except (RuntimeError, AssertionError) as error:  # the latter: CUDA is asked for and no NVIDIA GPU is visible
        wanted = jax.config.jax_platforms
        lines = str(error).partition("': ")[2].splitlines()  # after "Unable to initialize backend 'tpu': "
        why = f" ({lines[0].partition(' (')[0].rstrip('.')})" if lines else ""
        if not wanted:
            raise UserError(f"JAX cannot use this machine's devices{why}; set JAX_PLATFORMS to cpu") from None
        raise UserError(
            f"JAX_PLATFORMS is {wanted}: no such device here{why}; set it to cpu or to what this machine has; "
            "the extras cuda and tpu bring JAX's support of these"
        ) from None


def named(name: str) -> jax.Device:
    """The device of a name: the first of a kind such as `cpu` or `gpu`, or `gpu:1`, the second.

    Raises:
      UserError: the name is unknown, or the device does not exist.
    """
    match = re.fullmatch(r"([a-z]+)(?::([0-9]{1,4}))?", name)
    if match is None:
        raise UserError(f"‹device›: {name}; expected a kind such as cpu, gpu or tpu, or one of several such as gpu:1")
    kind, index = match[1], int(match[2] or 0)
    try:
        devices = jax.devices(kind)
    except RuntimeError:  # JAX's word for a kind that is not there
        devices = []
    if index < len(devices):
        return devices[index]
    first, *others = available()
    there = f"{first.platform}:0" + (f" to {first.platform}:{len(others)}" if others else "")
    extras = "" if devices else "; the extras cuda and tpu bring JAX's support of these"
    raise UserError(f"‹device›: {name}; no such device here, there is {there}{extras}")


def resolve_precision(asked: str, cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """`asked`; "auto" as "bfloat16" where that is faster here than float32, else as "float32".

    Args:
      asked: "float32", "bfloat16" or "auto".
      cpuinfo: the system's list of processors.
    """
    if asked != "auto":
        return asked
    return "bfloat16" if _fast_bfloat16(cpuinfo) else "float32"


def _fast_bfloat16(cpuinfo: Path) -> bool:
    """On a CPU its instruction sets decide, where the system lists them (Linux).

    TPUs always are; NVIDIA's GPUs are from compute capability 8.0 on.
    """
    device = available()[0]
    if device.platform == "cpu":
        return cpuinfo.exists() and not CPU_FLAGS.isdisjoint(cpuinfo.read_text().split())
    capability = getattr(device, "compute_capability", None)  # "9.0"; AMD's GPUs name an architecture
    try:
        return capability is None or float(capability) >= 8.0
    except ValueError:
        return True


class Team(NamedTuple):
    """The devices that share each step, perhaps of several processes.

    Data parallel: every device has all of the state and of the data, and computes its part of each batch; XLA sums the
    gradients (jax.sharding, "computation follows data").
    """

    mesh: Mesh

    @property
    def leads(self) -> bool:
        """Whether this process keeps the run directory; the others only compute."""
        return jax.process_index() == 0

    def spread(self, net: Net) -> Net:
        """`net` with the batch of its input split over the devices."""
        if self.mesh.size == 1:
            return net
        by_image = NamedSharding(self.mesh, PartitionSpec("batch"))

        def apply(params: Any, batch: jax.Array, *others: Any, **of_norms: Any) -> Any:
            return net.apply(params, jax.lax.with_sharding_constraint(batch, by_image), *others, **of_norms)

        return net._replace(apply=apply)

    def place(self, tree: Any) -> Any:
        """Copies of arrays, the same in every process, on each device."""
        if self.mesh.size == 1:
            return jax.tree.map(jax.device_put, tree)
        everywhere = NamedSharding(self.mesh, PartitionSpec())

        def put(leaf: jax.Array) -> jax.Array:
            if jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key):
                return jax.random.wrap_key_data(put(jax.random.key_data(leaf)))
            return jax.device_put(np.asarray(leaf), everywhere)  # a host array may go to devices of other processes

        return jax.tree.map(put, tree)

    def from_leader(self, tree: Any) -> Any:
        """The leader's arrays in every process; the others give arrays of the same shapes."""
        return tree if jax.process_count() == 1 else multihost_utils.broadcast_one_to_all(tree)

    def largest(self, number: int) -> int:
        """The largest of the numbers that the processes have; all of them call it at the same point."""
        if jax.process_count() == 1:
            return number
        return int(np.max(multihost_utils.process_allgather(np.asarray(number))))

    def same(self, words: bytes) -> bool:
        """Whether every process has the same words."""
        mine = np.frombuffer(hashlib.sha256(words).digest(), np.uint8)
        return jax.process_count() == 1 or bool((multihost_utils.process_allgather(mine) == mine).all())

    @contextmanager
    def preparing(self) -> Iterator[None]:
        """Around what the leader does alone before the first step: if that fails, the others are not left waiting."""
        try:
            yield
        except BaseException:
            self.largest(1)
            raise
        self.largest(0)

    def leader_is_ready(self) -> bool:
        """In the other processes: waits until the leader has left `preparing`; whether the run may begin."""
        return self.largest(0) == 0


def connect(
    coordinator: str | None, processes: int | None, process: int | None, note: Callable[[str], None] = lambda text: None
) -> None:
    """Joins the processes of a cluster; before anything else asks for a device.

    Args:
      coordinator: HOST:PORT of process 0; None where the cluster provides it (Slurm, TPU pods, MPI, Kubernetes).
      processes: how many there are, and
      process: which of them this is; None where the cluster provides it.
      note: gets a line about what is waited for, if the others are not there at once.

    Raises:
      UserError: the cluster is not known, or the others do not come.
    """
    given = [value is not None for value in (coordinator, processes, process)]
    if any(given) and not all(given):
        raise UserError("‹coordinator›, ‹processes› and ‹process› go together; or give ‹cluster› alone")
    if processes is not None and processes < 1:
        raise UserError(f"‹processes›: {processes}; must be at least 1")
    if processes is not None and process is not None and not 0 <= process < processes:
        raise UserError(f"‹process›: {process}; {between(0, processes - 1)}, below ‹processes›")
    if coordinator is not None and process is not None:
        claim_number(coordinator, process)
    errors: list[Exception] = []

    def join() -> None:
        try:
            # JAX's own limit comes later than ours: at it, the process would be aborted with a trace.
            jax.distributed.initialize(coordinator, processes, process, initialization_timeout=2 * PATIENCE)
        except Exception as error:
            errors.append(error)

    # In a thread, for XLA waits in code that Ctrl-C does not interrupt.
    joining = Thread(target=join, daemon=True)
    joining.start()
    joining.join(1.0)
    where = f"at {coordinator}" if coordinator else "of this job"
    if joining.is_alive():
        which = f"process {process} of {processes}" if coordinator else "this process"
        note(f"{which} waits for the others {where}; it gives up after {PATIENCE} s")
        joining.join(PATIENCE)
    if joining.is_alive():
        all_of_them = f"all of 0 to {processes - 1} as ‹process›" if processes else "the same command in each"
        raise UserError(f"the other processes {where} did not come within {PATIENCE} s; start {all_of_them}")
    for error in errors:
        if not isinstance(error, ValueError | RuntimeError):
            raise error
        raise UserError(f"cannot join the other processes ({reason(error)}); see ‹coordinator› and ‹cluster›") from None


def claim_number(coordinator: str, process: int) -> None:
    """Claims a number among the processes of a run on this machine, for as long as this process lives; on Linux only.

    Of two processes with one number XLA aborts itself and the others, with a trace that no caller can replace. The
    claim is an abstract socket address (unix(7)): the system gives it once, and takes it back whatever ends a process.

    Raises:
      UserError: another process of this machine has the number.
    """
    if sys.platform != "linux":
        return
    claim = socket.socket(socket.AF_UNIX)
    try:
        claim.bind(f"\0sgan-{hashlib.sha256(f'{coordinator} {process}'.encode()).hexdigest()}")
    except OSError as error:
        claim.close()
        if error.errno == errno.EADDRINUSE:
            raise UserError(
                f"‹process›: {process}; another process at {coordinator} has that number; give each its own"
            ) from None
        return
    claim.detach()  # no object closes it: it stays open as long as this process lives


def local(tree: Any) -> Any:
    """The copy of replicated arrays that lies on this process's first device."""
    return jax.tree.map(lambda leaf: leaf.addressable_data(0), tree)


def team(count: int | None, batch_size: int, unlabelled: int | None = None) -> Team:
    """The first `count` devices, by default one of a single process or all of several.

    Args:
      count: how many devices share a step.
      batch_size: labelled images of a step; each device gets as many of them.
      unlabelled: unlabelled images of a step; by default as many.

    Raises:
      UserError: there are fewer, or they cannot have equal parts.
    """
    devices = available()
    if jax.process_count() > 1:
        if count not in (None, len(devices)):
            raise UserError(f"‹devices›: {count}; the {jax.process_count()} processes have {len(devices)} in all")
        count = len(devices)
    count = 1 if count is None else count
    if not 1 <= count <= len(devices):
        raise UserError(f"‹devices›: {count}; {between(1, len(devices))}, the {devices[0].platform} devices")
    for setting, images in (("batch_size", batch_size), ("unlabelled", unlabelled or batch_size)):
        if images % count:
            raise UserError(f"‹devices›: {count}; must divide ‹{setting}›, {images}")
    return Team(jax.make_mesh((count,), ("batch",), axis_types=(AxisType.Auto,), devices=devices[:count]))
