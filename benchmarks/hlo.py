"""Reads what a compiler made of a program: the text of optimised HLO, as `compiled.as_text()` returns it."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

_BITS = {"pred": 8, "s4": 4, "u4": 4, "bf16": 16, "f16": 16, "s64": 64, "u64": 64, "f64": 64}
_COMPUTATION = re.compile(r"(?P<entry>ENTRY )?%(?P<name>\S+) \(.*\{")
# A tuple's type holds parentheses of tilings, such as {0:T(128)}; it ends where an opcode follows.
_INSTRUCTION = re.compile(r"\s+(?:ROOT )?%\S+ = (?P<type>\(.*?\)|\S+) (?P<opcode>[a-z][\w-]*)\((?P<rest>.*)")
_ARRAY = re.compile(r"(?P<dtype>[a-z]+\d*)\[(?P<dimensions>[\d,]*)\]")
_CALLED = re.compile(r"(?:calls|to_apply|body|\w+_computations?)=\{?([^},]*(?:, %[^},]*)*)")
# They move no data, or only wait for what another operation began.
_BOOKKEEPING = {"parameter", "constant", "get-tuple-element", "tuple", "bitcast", "partition-id", "after-all"}
# Custom calls by which XLA for TPUs marks memory and indices; there is no kernel behind them.
_MARKS = {"AllocateBuffer", "AssumeGatherIndicesInBound", "ConcatBitcast", "GatherScatterIndicesBitpacked"}
_EVERYWHERE = {"jit(advance)", "jit(outputs)", "jit(distances_by_region)", "while", "body", "eval_jaxpr"}  # in sources
_CALLS = {"call", "conditional", "async-start", "while"}
_COLLECTIVES = {
    "all-gather",
    "all-reduce",
    "all-to-all",
    "collective-broadcast",
    "collective-permute",
    "ragged-all-to-all",
    "reduce-scatter",
}
_HOST = {"infeed", "outfeed", "recv", "send"}
_HOST_CALL = re.compile(r"callback|host", re.IGNORECASE)
_HOST_MEMORY = "S(5)"  # of a layout


class Operation(NamedTuple):
    """An instruction of a compiled program."""

    opcode: str
    type: str  # of its result
    target: str  # of a custom call, else ""
    source: str  # the place in the program that it was made of
    operands: int
    cycles: int  # that the compiler estimates; 0 where it does not
    called: tuple[str, ...]  # names of the computations that it runs

    @property
    def place(self) -> str:
        """Its source without what all places begin with; its kind, where the compiler names no source."""
        parts = re.sub(r"\.\d+$", "", self.source).split("/")
        return "/".join(part for part in parts if part not in _EVERYWHERE) or self.opcode

    @property
    def largest(self) -> int:
        """Bytes of the largest array of its result."""
        return max((_bytes(array) for array in _ARRAY.finditer(self.type)), default=0)

    @property
    def collective(self) -> str:
        """The collective that it begins, or ""."""
        opcode = self.opcode.removesuffix("-start")
        return opcode if opcode in _COLLECTIVES else ""

    @property
    def is_kernel(self) -> bool:
        """Whether it is launched by itself: a fusion, or a call of a library."""
        return self.opcode == "fusion" or (self.opcode == "custom-call" and self.target not in _MARKS)

    @property
    def is_bookkeeping(self) -> bool:
        """Whether it does nothing."""
        return self.opcode in _BOOKKEEPING or self.opcode.endswith("-done") or self.target in _MARKS

    @property
    def reaches_host(self) -> bool:
        """Whether it moves data to the host or from there, or runs code there."""
        by_call = self.opcode == "custom-call" and bool(_HOST_CALL.search(self.target))
        return self.opcode.removesuffix("-done") in _HOST or by_call or _HOST_MEMORY in self.type


class Module(NamedTuple):
    """A compiled program."""

    computations: dict[str, list[Operation]]
    entry: str
    donated: int  # arguments whose memory a result takes

    def run_by(self, name: str) -> list[Operation]:
        """The operations of a computation and of those that it calls, its loops' bodies once."""
        return list(self._run_by(name))

    def _run_by(self, name: str) -> Iterator[Operation]:
        for operation in self.computations[name]:
            yield operation
            if operation.opcode in _CALLS:
                for called in operation.called:
                    yield from self._run_by(called)

    @property
    def loops(self) -> list[str]:
        """The computations that are the bodies of its loops, the longest first."""
        loops = [one for one in self.run_by(self.entry) if one.opcode == "while"]
        return sorted((one.called[0] for one in loops), key=lambda body: -len(self.computations[body]))

    @property
    def turn(self) -> list[Operation]:
        """The operations of one turn of its longest loop; all of them where it has none."""
        return self.run_by(self.loops[0] if self.loops else self.entry)


class Collectives(NamedTuple):
    """What one turn exchanges between chips by operations of one kind."""

    number: int
    operands: int
    largest: int  # bytes of the largest array


def collectives(operations: list[Operation]) -> dict[str, Collectives]:
    """The collectives among operations, by kind."""
    by_kind: dict[str, Collectives] = {}
    for one in operations:
        if kind := one.collective:
            before = by_kind.get(kind, Collectives(0, 0, 0))
            largest = max(before.largest, one.largest)
            by_kind[kind] = Collectives(before.number + 1, before.operands + one.operands, largest)
    return by_kind


def costly(operations: list[Operation], count: int) -> list[tuple[int, int, str]]:
    """The most expensive places of a program: estimated cycles, number of operations, place; largest first.

    Where the compiler estimates no cycles, these are the places of which most operations are made.
    """
    cycles: Counter[str] = Counter()
    numbers: Counter[str] = Counter()
    for one in operations:
        if not one.is_bookkeeping:
            cycles[one.place] += one.cycles
            numbers[one.place] += 1
    order = sorted(numbers, key=lambda place: (cycles[place], numbers[place]), reverse=True)
    return [(cycles[place], numbers[place], place) for place in order[:count]]


def read(text: str) -> Module:
    """The module that a text describes."""
    computations: dict[str, list[Operation]] = {}
    entry = ""
    lines = text.splitlines()
    operations: list[Operation] = []
    for line in lines:
        if head := _COMPUTATION.match(line):
            operations = computations[head["name"]] = []
            entry = head["name"] if head["entry"] else entry
        elif match := _INSTRUCTION.match(line):
            operations.append(_operation(match))
    aliases = lines[0].partition("input_output_alias={")[2].partition("entry_computation_layout")[0]
    return Module(computations, entry, aliases.count("-alias)"))


def _operation(match: re.Match[str]) -> Operation:
    rest = match["rest"]
    operands, _, attributes = rest.partition(")")
    target = re.search(r'custom_call_target="([^"]*)"', attributes)
    source = re.search(r'op_name="([^"]*)"', attributes)
    cycles = re.search(r'"estimated_cycles":"(\d+)"', attributes)
    called = [name.strip().lstrip("%") for part in _CALLED.findall(attributes) for name in part.split(",")]
    return Operation(
        match["opcode"],
        match["type"],
        target[1] if target else "",
        source[1] if source else "",
        operands.count("%"),
        int(cycles[1]) if cycles else 0,
        tuple(called),
    )


def _bytes(array: re.Match[str]) -> int:
    elements = 1
    for size in filter(None, array["dimensions"].split(",")):
        elements *= int(size)
    bits = _BITS.get(array["dtype"]) or int(re.sub(r"\D", "", array["dtype"]) or 8)
    return elements * bits // 8
