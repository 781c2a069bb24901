"""``python -m rushlight``: the command, where scripts are not on the path."""

import sys

from rushlight.cli import main

sys.exit(main())
