"""`python -m rvision`: the command line."""

import sys

from rvision.cli import main

sys.exit(main())
