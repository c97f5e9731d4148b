"""`python -m sgan_jax train ...` is `sgan train ...`."""

from sgan_jax.cli.main import main

main()
