"""Counted operations against counts by hand. A multiply-add is two."""

import jax
import jax.numpy as jnp
import pytest
from flops import count

from sgan_jax.engine.system import System, build
from sgan_jax.models.ops.convolutions import MATRIX_PRODUCTS, NATIVE
from sgan_jax.presets import PRESETS


def array(*shape: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, jnp.float32)


def system(preset: str) -> System:
    return build(PRESETS[preset], (28, 28, 1), 10, NATIVE)


def step_operations(preset: str) -> int:
    one = system(preset)
    return count(one.train_step(), *one.abstract_arguments(labelled=100, unlabelled=60_000))


def test_a_product_counts_two_for_each_element_of_each_sum() -> None:
    assert count(lambda a, b: a @ b, array(3, 5), array(5, 7)) == 2 * 3 * 5 * 7
    batched = count(lambda a, b: jnp.einsum("nij,njk->nik", a, b), array(4, 3, 5), array(4, 5, 7))
    assert batched == 4 * 2 * 3 * 5 * 7


def test_a_product_and_its_two_gradients_are_three_products() -> None:
    def loss(a: jax.Array, b: jax.Array) -> jax.Array:
        return jnp.square(a @ b).sum()

    assert count(jax.grad(loss, argnums=(0, 1)), array(3, 5), array(5, 7)) == 3 * 2 * 3 * 5 * 7


def test_elementwise_work_is_not_counted() -> None:
    assert count(lambda a: jnp.tanh(a) + a, array(1000)) == 0


def test_zeros_between_the_inputs_of_a_transposed_convolution_are_not_counted() -> None:
    up = count(NATIVE.up, array(1, 14, 14, 128), array(4, 4, 128, 128))
    assert up == 14 * 14 * 2 * 4 * 4 * 128 * 128, "each input meets each of the kernel's 16 taps once"


def test_winograds_form_multiplies_nine_sixteenths_as_often() -> None:
    shapes = array(1, 14, 14, 128), array(4, 4, 128, 128)
    assert count(MATRIX_PRODUCTS.up, *shapes) * 16 == count(NATIVE.up, *shapes) * 9


def test_a_scan_counts_as_often_as_it_runs_and_a_branch_as_the_largest() -> None:
    def repeated(a: jax.Array) -> jax.Array:
        return jax.lax.scan(lambda x, _: (x @ x, None), a, length=6)[0]

    def chosen(a: jax.Array) -> jax.Array:
        return jax.lax.cond(a[0, 0] > 0, lambda x: x @ x @ x, lambda x: x @ x, a)

    assert count(repeated, array(4, 4)) == 6 * 2 * 4**3
    assert count(chosen, array(4, 4)) == 2 * 2 * 4**3


def test_networks_of_the_tutorial_worked_by_hand() -> None:
    convolutions = 14 * 14 * 9 * 1 * 128 + 7 * 7 * 9 * 128 * 128 + 4 * 4 * 9 * 128 * 128
    discriminator = 2 * (convolutions + 4 * 4 * 128 * 10)
    one = system("tutorial")
    state = one.abstract_state()
    assert count(lambda p, x: one.disc.apply(p, x, None), state.params["d"], array(1, 28, 28, 1)) == discriminator

    up = 7 * 7 * 16 * 128 * 128 + 14 * 14 * 16 * 128 * 128
    generator = 2 * (100 * 7 * 7 * 128 + up + 28 * 28 * 49 * 128)
    assert count(one.gen.apply, state.params["g"], array(1, 100)) == generator
    assert (discriminator, generator) == pytest.approx((19.7e6, 139.5e6), rel=0.01)


def test_the_tutorials_step_takes_about_62_gflop_and_the_joint_one_half_of_them() -> None:
    tutorial = step_operations("tutorial")
    assert tutorial == pytest.approx(62e9, rel=0.02)
    assert step_operations("joint") == pytest.approx(tutorial / 2, rel=0.1)
