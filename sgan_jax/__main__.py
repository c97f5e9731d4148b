"""`python -m sgan_jax train ...` is `sgan train ...`."""

from sgan_jax.cli import main

main()
