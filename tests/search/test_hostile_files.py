"""No small file takes all memory, runs for long or ends in anything but a value or a clear error.

Each file is read in another process, which has a limit of memory; its time is that of the
processor, so that other work on the machine does not count.
"""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.search import hostile

SECONDS = 12  # a hang, on any machine; one second is promised
MEMORY = 512 << 20  # more than at the start; 1.3 MB of pickle can be 1,000,000 sets
READER = """
import json, pickle, sys, time
import rushlight
from rushlight.datasets import idx
from rushlight.serialization import safetensors, sharded

READERS = {
    "load": rushlight.load,
    "mmap": lambda path: rushlight.load(path, mmap=True),
    "survey": rushlight.serialization.get_unsafe_globals_in_checkpoint,
    "safetensors": safetensors.load_file,
    "idx": idx.read,
    "sharded": sharded.load_sharded,
}
ERRORS = {
    "idx": (ValueError,),
    "sharded": (RuntimeError, FileNotFoundError),
    "survey": (ValueError, RuntimeError, EOFError, pickle.UnpicklingError),
}

def limit(more):
    try:
        import resource
        with open("/proc/self/statm") as file:
            size = int(file.read().split()[0]) * resource.getpagesize() + more
        resource.setrlimit(resource.RLIMIT_AS, (size, size))
    except (ImportError, OSError, ValueError):
        pass  # this system has no such limit

def outcome(how, path):
    try:
        READERS[how](path)
        return "value"
    except ERRORS.get(how, (RuntimeError, EOFError, pickle.UnpicklingError)) as error:
        text = f"{type(error).__name__}: {error}"
        if "MemoryError" in text or len(text) > 3000 or not str(error):
            return "fault: " + text[:300]
        return "error: " + text
    except BaseException as error:
        return f"fault: {type(error).__name__}: {error}"[:300]

limit(int(sys.argv[1]))
for line in sys.stdin:
    how, path = json.loads(line)
    print(json.dumps(path), flush=True)
    begin = time.process_time()
    found = outcome(how, path)
    print(json.dumps([found, time.process_time() - begin]), flush=True)
"""


def read(files):
    """(outcome, seconds) of each of ``files``, pairs of how it is read and a path."""
    process = subprocess.run(
        [sys.executable, "-c", READER, str(MEMORY)],
        input="".join([json.dumps(file) + "\n" for file in files]),
        capture_output=True,
        text=True,
        timeout=60 + 10 * len(files),
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    lines = process.stdout.splitlines()
    assert len(lines) == 2 * len(files), f"ended in {lines[-1:]}: {process.stderr[-500:]}"
    return [tuple(json.loads(line)) for line in lines[1::2]]


def search(count, seed, folder):
    """Read ``count`` files; says of each fault how to make the file again."""
    made = []
    for n in range(count):
        how, content = hostile.file(random.Random(f"{seed} {n}"))
        path = folder / (f"{n}.safetensors" if how == "safetensors" else f"{n}.index.json")
        path.write_bytes(content)
        made.append((how, str(path)))
    results = read(made)
    faults = [
        f"hostile.file(random.Random('{seed} {n}')), read by {made[n][0]}: {found}, {seconds:.1f} s"
        for n, (found, seconds) in enumerate(results)
        if found.startswith("fault") or seconds > SECONDS
    ]
    assert not faults, "\n".join(faults)
    return results


@pytest.mark.slow
def test_some_hostile_files(tmp_path):
    results = search(40, os.environ.get("RUSHLIGHT_SEED", "hostile"), tmp_path)
    errors = {found.split(":")[1] for found, _ in results if found != "value"}
    assert len(errors) >= 3 and sum(found == "value" for found, _ in results) > 3


@pytest.mark.search
def test_thousands_of_hostile_files(tmp_path):
    seed = random.SystemRandom().randrange(1 << 32)
    print("seed", seed)
    for part in range(10):
        folder = tmp_path / str(part)
        folder.mkdir()
        search(200, f"{seed}/{part}", folder)
        for path in folder.iterdir():
            path.unlink()
