"""Random training loops against PyTorch, eager and compiled, step by step.

python -m tests.search.training --seed S --count N: as ``python -m tests.search.programs``.
"""

import sys

from tests.search.training.work import Loops
from tests.search.workers import main

if __name__ == "__main__":
    sys.exit(main(Loops, __doc__))
