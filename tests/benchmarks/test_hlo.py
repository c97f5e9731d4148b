"""What is read from compiled programs, on short ones written by hand in the form that compilers print."""

import hlo
import pytest

# A step of two chips in a scan. Types have tilings with parentheses, as those of TPUs; `%wait` begins in one operation
# and ends in another; `%mark` is no kernel; `%chosen` runs one of two computations.
SCAN = """\
HloModule jit_advance, input_output_alias={ {0}: (0, {}, may-alias), {1}: (2, {}, must-alias) }, \
entry_computation_layout={(f32[4]{0})->f32[4]{0}}

%fused (p: f32[4]) -> f32[4] {
  %p = f32[4]{0} parameter(0)
  ROOT %inner = f32[4]{0} add(%p, %p)
}

%left (l: f32[4]) -> f32[4] {
  ROOT %l = f32[4]{0} parameter(0)
}

%right (r: f32[4]) -> f32[4] {
  %r = f32[4]{0} parameter(0)
  ROOT %halved = f32[4]{0} fusion(%r), kind=kLoop, calls=%fused, backend_config={"estimated_cycles":"5"}
}

%body (s: (s32[], f32[4])) -> (s32[], f32[4]) {
  %s = (s32[]{:T(128)}, f32[4]{0:T(128)S(1)}) parameter(0)
  %x = f32[4]{0:T(128)} get-tuple-element(%s), index=1
  %one = f32[4]{0:T(128)} fusion(%x), kind=kLoop, calls=%fused, metadata={op_name="jit(advance)/while/body/add"}, \
backend_config={"window_config":{"estimated_cycles":"100"}}
  %two = f32[4]{0:T(128)} fusion(%x), kind=kLoop, calls=%fused, metadata={op_name="jit(advance)/while/body/add"}, \
backend_config={"window_config":{"estimated_cycles":"20"}}
  %wait = (f32[4]{0}, bf16[2,8]{1,0:T(8,128)(2,1)}, u32[]{:S(2)}) collective-permute-start(%one), channel_id=1
  %waited = bf16[2,8]{1,0} collective-permute-done(%wait)
  %sums = (f32[4]{0:T(128)}, bf16[8,8]{1,0:T(8,128)(2,1)}, /*index=2*/f32[]) all-reduce(%one, %two, /*index=2*/%x), \
to_apply=%fused
  %product = f32[4]{0} custom-call(%one), custom_call_target="__cublas$gemm"
  %mark = s32[4]{0} custom-call(%x), custom_call_target="AssumeGatherIndicesInBound"
  %chosen = f32[4]{0} conditional(%x, %x, %x), branch_computations={%left, %right}
  ROOT %out = (s32[]{:T(128)}, f32[4]{0:T(128)S(1)}) tuple(%x, %one)
}

%condition (c: (s32[], f32[4])) -> pred[] {
  %c = (s32[], f32[4]{0}) parameter(0)
  ROOT %go = pred[] constant(true)
}

ENTRY %main (a: f32[4]) -> f32[4] {
  %a = f32[4]{0} parameter(0)
  %laid = f32[4]{0} copy(%a), backend_config={"estimated_cycles":"7"}
  %loop = (s32[]{:T(128)}, f32[4]{0:T(128)S(1)}) while(%laid), condition=%condition, body=%body
  ROOT %result = f32[4]{0} get-tuple-element(%loop), index=1
}
"""


def entry(line: str) -> hlo.Module:
    return hlo.read(f"HloModule jit_f\n\nENTRY %main (a: f32[4]) -> f32[4] {{\n  {line}\n}}\n")


def test_a_turn_is_the_body_of_the_loop_with_the_branches_that_it_may_run() -> None:
    module = hlo.read(SCAN)
    assert module.loops == ["body"] and module.donated == 2
    done = [one for one in module.turn if not one.is_bookkeeping]
    kinds = ["fusion", "fusion", "collective-permute-start", "all-reduce", "custom-call", "conditional", "fusion"]
    assert [one.opcode for one in done] == kinds
    assert sum(one.is_kernel for one in module.turn) == 4, "three fusions and a product; a mark is no kernel"
    assert sum(one.cycles for one in module.turn) == 100 + 20 + 5
    assert sum(one.cycles for one in module.computations[module.entry]) == 7


def test_collectives_are_counted_with_their_arrays_and_the_bytes_of_the_largest() -> None:
    found = hlo.collectives(hlo.read(SCAN).turn)
    assert found == {"collective-permute": (1, 1, 2 * 8 * 2), "all-reduce": (1, 3, 8 * 8 * 2)}


def test_the_most_expensive_places_add_up_the_operations_made_of_them() -> None:
    assert hlo.costly(hlo.read(SCAN).turn, 2) == [(120, 2, "add"), (5, 1, "fusion")]


def test_where_no_cycles_are_estimated_the_places_of_most_operations_come_first() -> None:
    gpu = hlo.read(SCAN.replace("estimated_cycles", "reification_cost"))
    assert hlo.costly(gpu.turn, 1) == [(0, 2, "add")]


@pytest.mark.parametrize(
    "line",
    [
        "%t = token[] outfeed(%a, %b)",
        "%s = (f32[4]{0}, u32[], token[]) send(%a, %t), channel_id=1",
        "%r = f32[4]{0} recv-done(%s), channel_id=1",
        '%c = f32[4]{0} custom-call(%a), custom_call_target="xla_ffi_python_gpu_callback"',
        '%m = f32[4]{0} custom-call(%a), custom_call_target="MoveToHost"',
        "%h = (f32[4]{0:T(128)S(5)}, f32[4]{0:T(128)}, u32[]{:S(2)}) copy-start(%a)",
    ],
)
def test_what_reaches_the_host_is_found(line: str) -> None:
    assert [one.reaches_host for one in entry(line).turn] == [True]


def test_copies_between_memories_of_the_chip_reach_no_host() -> None:
    copy = "%c = (f32[4]{0:T(128)S(1)}, f32[4]{0:T(128)}, u32[]{:S(2)}) copy-start(%a)"
    assert [one.reaches_host for one in entry(copy).turn] == [False]
