"""The programs in examples/ print under rushlight, eager and compiled, what they print under PyTorch.

By default shortened runs of the quick ones are compared with what PyTorch printed when
``python -m tests.golden.examples`` recorded it; the long tests compare all, and live PyTorch.
"""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from tests import processes
from tests.golden.examples import FILE

ROOT = Path(__file__).resolve().parents[2]
RUSHLIGHT = [sys.executable, "-m", "rushlight", "run"]
#: program → arguments that shorten it so that it still prints a loss or two
SHORT = {
    "autoencoder": ["--steps", "250"],
    "cnn": ["--epochs", "1"],
    "dqn": ["--episodes", "20"],
    "gan": ["--steps", "250"],
    "gnn": ["--epochs", "40"],
    "gpt": ["--steps", "50"],
    "lstm": ["--steps", "50"],
    "mlp": ["--epochs", "10"],
    "pinn": ["--steps", "250"],
    "reinforce": ["--episodes", "25"],
    "tabular": ["--epochs", "5"],
    "transfer": ["--steps", "20"],
    "translation": ["--steps", "50"],
    "vae": ["--steps", "200"],
}
QUICK = ["gnn", "mlp", "vae"]


def output(python, program, *arguments):
    """What a shortened run prints; what it warns of is let pass."""
    done = processes.run(
        [*python, str(ROOT / "examples" / f"{program}.py"), *SHORT[program], *arguments],
        capture_output=True, text=True, encoding="utf-8", cwd=ROOT, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


NUMBER = re.compile(r"-?\d+\.\d+(?:e[-+]\d+)?")


def assert_same(found, expected):
    """The same text, and numbers that differ by rounding at most."""
    assert NUMBER.sub("#", found) == NUMBER.sub("#", expected)
    numbers = [[float(n) for n in NUMBER.findall(text)] for text in (found, expected)]
    assert numbers[0]
    np.testing.assert_allclose(*numbers, rtol=1e-3, atol=2e-4)


@pytest.mark.parametrize("way", [[], ["--compile"]], ids=["eager", "compiled"])
@pytest.mark.parametrize(
    "program", [p if p in QUICK else pytest.param(p, marks=pytest.mark.slow) for p in SHORT]
)
def test_prints_what_pytorch_printed(program, way):
    recorded = json.loads(FILE.read_text(encoding="utf-8"))
    assert_same(output(RUSHLIGHT, program, *way), recorded[program])


@pytest.mark.slow
@pytest.mark.parity
@pytest.mark.parametrize("program", SHORT)
def test_prints_what_pytorch_prints(program):
    pytest.importorskip("torch")
    assert_same(output(RUSHLIGHT, program), output([sys.executable], program))


def test_every_example_is_compared():
    assert {path.stem for path in (ROOT / "examples").glob("*.py")} == set(SHORT)
