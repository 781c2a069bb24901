"""Random calls of single operations against PyTorch.

python -m tests.search.operations --seed S --count N: exit code 1 if there is a difference. Each is
made smaller and left as a script in the folder, by its kind and its operation. --only REGEX
searches only the operations whose names match.
"""

import argparse
import os
import sys

from tests.search.operations.work import Operations
from tests.search.workers import main

if __name__ == "__main__":
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--only", default="")
    given, rest = parser.parse_known_args()
    os.environ["SEARCH_ONLY"] = given.only
    sys.exit(main(Operations, __doc__, rest))
