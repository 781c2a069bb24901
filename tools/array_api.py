"""Run the array API's test suite on rushlight, through array-api-compat's namespace for torch.

The suite (https://github.com/data-apis/array-api-tests) is on no package index, so it is run from a
clone. Another clone, of array-api-compat, has the list of the tests that PyTorch itself fails::

    git clone --recursive https://github.com/data-apis/array-api-tests
    git clone https://github.com/data-apis/array-api-compat
    pip install array-api-compat -r array-api-tests/requirements.txt
    python tools/array_api.py array-api-tests array-api-compat --max-examples=20

More options go to pytest. Run it after a change of how functions take their arguments, or of what
they return for numbers at the ends of ranges.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: The namespace that is tested.
MODULE = "exec('import rushlight.as_torch, array_api_compat.torch; xp = array_api_compat.torch')"
#: Tests of signatures. PyTorch is spared them, because those of functions in C cannot be read.
#: Our functions take the names that the tests miss (``axis``, ``keepdims``) all the same.
UNREADABLE = [
    *[f"func_signature[{name}]" for name in ("argmax", "argmin", "stack")],
    *[f"extension_func_signature[fft.{name}]" for name in ("fft", "ifft", "rfft", "irfft")],
    *[f"extension_func_signature[fft.{name}]" for name in ("hfft", "ihfft")],
    "extension_func_signature[linalg.matrix_norm]",
]


def main(suite, compat, *options):
    """Run the suite; the result is pytest's exit code."""
    skips = (Path(compat) / "torch-skips.txt").read_text()
    skips += "".join([f"array_api_tests/test_signatures.py::test_{t}\n" for t in UNREADABLE])
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        "ARRAY_API_TESTS_MODULE": MODULE,
        "ARRAY_API_TESTS_VERSION": "2025.12",
        # PyTorch lacks most operations for these dtypes.
        "ARRAY_API_TESTS_SKIP_DTYPES": "uint16,uint32,uint64",
        "ARRAY_API_TESTS_XFAIL_MARK": "skip",
    }
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "skips.txt"
        file.write_text(skips)
        expected = (Path(compat) / "torch-xfails.txt").resolve()
        lists = ["--skips-file", str(file), "--xfails-file", str(expected)]
        command = [sys.executable, "-m", "pytest", "array_api_tests", *lists, *options]
        return subprocess.run(command, cwd=suite, env=environment).returncode


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
