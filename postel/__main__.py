"""``python3 -m postel``: the command line, from a checkout with nothing installed."""

import sys

from postel.cli import main

sys.exit(main(sys.argv[1:]))
