"""What shortened examples print under PyTorch: ``python -m tests.golden.examples`` records it."""

import json
import sys
from pathlib import Path

FILE = Path(__file__).with_name("examples.json")


def record():
    """Run each under PyTorch and write the file."""
    from tests.programs.test_examples import SHORT, output

    found = {program: output([sys.executable], program) for program in SHORT}
    text = json.dumps(found, indent=1, ensure_ascii=False)
    FILE.write_text(text + "\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    record()
