"""Names of what a step reports, for lines of runs of version 0.1, which do not list what is watched."""

import re

WATCHED = re.compile(r"[dg]/(\w*accuracy|confident)")  # fractions of images, which no player descends
