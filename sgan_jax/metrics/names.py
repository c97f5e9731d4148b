"""Names of what a step reports."""

import re

WATCHED = re.compile(r"[dg]/(\w*accuracy|confident)")  # shares of images, which nothing descends
