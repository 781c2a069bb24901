"""Random calls of single operations against PyTorch.

python -m tests.search.operations --seed S --count N: exit code 1 if there is a difference. Each is
made smaller and left as a script in the folder, by its kind and its operation.
"""

import sys

from tests.search.operations.work import Operations
from tests.search.workers import main

if __name__ == "__main__":
    sys.exit(main(Operations, __doc__))
