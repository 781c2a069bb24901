"""Random programs against PyTorch, eager and compiled.

python -m tests.search.programs --seed S --count N: exit code 1 if there is a difference. Each is made
smaller and left as a script in the folder. A run that was stopped goes on where it was if the seed
and the folder are the same.
"""

import sys

from tests.search.programs.work import Programs
from tests.search.workers import main

if __name__ == "__main__":
    sys.exit(main(Programs, __doc__))
