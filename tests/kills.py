"""A command that is killed at a moment that a test chooses."""

# `python -c KILLED EVENT TEXT train ...`: as `sgan train ...`, killed before the first operation of that name on a file
# whose arguments hold the text. Python reports each to audit hooks just before it is done.
KILLED = """
import os, signal, sys
event, text = sys.argv[1:3]
del sys.argv[1:3]
def watch(name, arguments):
    if name == event and text in str(arguments):
        os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(watch)
from sgan_jax.cli.main import main
main()
"""
