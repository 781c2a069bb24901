"""Run every notebook below a folder from top to bottom; a cell that fails is an error.

Run ``python tools/notebooks.py examples`` after a change of a notebook, or of what notebooks show.
``.ci/run`` does so for every change. The notebooks stay as they are: new output is not saved.
"""

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient


def main(folder):
    """Execute the notebooks in ``folder``, without saving what they print."""
    found = sorted(Path(folder).rglob("*.ipynb"))
    if not found:
        sys.exit(f"no notebooks in {folder}")
    for path in found:
        notebook = nbformat.read(path, as_version=4)
        NotebookClient(
            notebook, timeout=300, resources={"metadata": {"path": str(path.parent)}}
        ).execute()
        print(f"{path}: {len(notebook.cells)} cells passed")


if __name__ == "__main__":
    main(*sys.argv[1:])
