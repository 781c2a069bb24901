"""Calls that repeat are replayed with the results of the function itself; see ``cases.py``."""

import ctypes.util
import gc
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("llvmlite")  # replays are machine code

from rushlight.compiler.replay.looks import look_at
from rushlight.compiler.replay.streams import Streams
from rushlight.random import Generator
from tests import processes
from tests.compiler.replay.cases import PARTS
from tests.daily import daily

CASES, DRAWS, FUNCTIONS, MATRICES = [
    Path(__file__).with_name(f"{name}.py")
    for name in ("cases", "draw_cases", "function_cases", "matrix_cases")
]


@pytest.mark.slow
@pytest.mark.parametrize("part", daily(range(PARTS), 1, "replays"))
def test_cases(part):
    library = ctypes.util.find_library("c_malloc_debug")  # writes beyond an array are errors then
    checks = {"LD_PRELOAD": library} if library else {}
    found = processes.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", CASES],
        env={**os.environ, "RUSHLIGHT_REPLAY": "1", "RUSHLIGHT_CHECK": "replay",
             "RUSHLIGHT_PART": str(part), "GLIBC_TUNABLES": "glibc.malloc.check=3", **checks},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stdout[-6000:]


@pytest.mark.parity
def test_draws():
    """The replayed draws of ``draw_cases.py``, among them random sequences, are PyTorch's."""
    found = processes.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", DRAWS],
        env={**os.environ, "RUSHLIGHT_REPLAY": "1", "RUSHLIGHT_CHECK": "replay"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stdout[-6000:]


@pytest.mark.parametrize("cases", [FUNCTIONS, MATRICES], ids=lambda path: path.stem)
def test_functions(cases):
    found = processes.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", cases],
        env={**os.environ, "RUSHLIGHT_REPLAY": "1", "RUSHLIGHT_CHECK": "replay"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stdout[-6000:]


def test_threads_that_draw_share_no_number():
    """While one thread draws or makes an entry, replays of others wait, as their draws do."""
    script = (
        "import sys, threading, rushlight as torch\n"
        "sys.setswitchinterval(1e-5)\n"
        "options = {'dtype': torch.float64}\n"
        "torch.manual_seed(1)\n"
        "expected = sorted(torch.rand(4 * (400 * 3 + 8 * 3000), **options).tolist())\n"
        "torch.manual_seed(1)\n"
        "found, begin = [[] for _ in range(4)], threading.Barrier(4)\n"
        "def run(own):\n"
        "    begin.wait()\n"
        "    for k in range(400):\n"
        "        own += torch.rand(3, **options).tolist()\n"
        "        if k % 50 == 0: own += torch.rand(3000, **options).tolist()\n"
        "threads = [threading.Thread(target=run, args=(own,)) for own in found]\n"
        "for t in threads: t.start()\n"
        "for t in threads: t.join()\n"
        "print(sorted(sum(found, [])) == expected)\n"
    )
    environment = {k: v for k, v in os.environ.items() if k != "RUSHLIGHT_CHECK"}
    found = processes.run(
        [sys.executable, "-c", script], env={**environment, "RUSHLIGHT_REPLAY": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert found.stdout.split() == ["True"], found.stderr


def test_an_interrupt_leaves_no_generator_locked(monkeypatch):
    def interrupted(*given):
        raise KeyboardInterrupt

    monkeypatch.setattr(Streams, "rewind", interrupted)
    generator, before = Generator(), gc.get_threshold()
    with pytest.raises(KeyboardInterrupt), Streams() as streams:
        streams.take(generator)
    assert not generator.lock._is_owned() and gc.get_threshold() == before


@pytest.mark.slow
def test_begin(tmp_path):
    """Replays begin early, unless their code must be compiled and no earlier process noted so."""
    script = (
        "import sys, rushlight as torch\n"
        "x = torch.ones(3)\n"
        "for _ in range(7000): x = x + 0.0\n"
        "for _ in range(400): x.exp2()\n"
        "module = sys.modules.get('rushlight.compiler.replay.calls')\n"
        "print(bool(module and module._code), 'rushlight.nn' in sys.modules)\n"
    )
    environment = {k: v for k, v in os.environ.items() if k != "RUSHLIGHT_REPLAY"}

    def began(folder):
        found = processes.run(
            [sys.executable, "-c", script], env={**environment, "RUSHLIGHT_CACHE_DIR": folder},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        return found.stdout.split()

    assert began("")[0] == began("")[0] == "False"  # nothing is kept, so each process would compile
    first, second, third = [began(str(tmp_path)) for _ in range(3)]
    assert first[0] == "False" and second[0] == third[0] == "True"
    assert third[1] == "False"  # importing nn takes as long as the rest


@pytest.mark.slow
def test_calls_that_take_longer_are_replayed_earlier(tmp_path):
    script = (
        "import sys, rushlight as torch\n"
        "x, w = torch.ones(32, 64), torch.ones(64)\n"
        "for _ in range(4500): torch.nn.functional.layer_norm(x, (64,), w, w)\n"
        "module = sys.modules.get('rushlight.compiler.replay.calls')\n"
        "print(bool(module and module._code))\n"
    )
    environment = {k: v for k, v in os.environ.items() if k != "RUSHLIGHT_REPLAY"}
    found = [
        processes.run(
            [sys.executable, "-c", script],
            env={**environment, "RUSHLIGHT_CACHE_DIR": str(tmp_path)},
            capture_output=True, text=True, check=True,
        ).stdout.strip()
        for _ in range(3)
    ]  # fmt: skip
    assert found[0] == "False" and found[2] == "True"  # the first only notes that it wants the code


def test_calls_are_looked_at_while_nn_is_imported(monkeypatch):
    name = "rushlight.nn.parameter"
    monkeypatch.setitem(sys.modules, name, ModuleType(name))  # another thread has just begun
    assert look_at(3)
