"""Run PyTorch's libraries on rushlight, and compare what they give with what they give on PyTorch.

    python tools/libraries/run.py                     # all cases, compared with recorded answers
    python tools/libraries/run.py timm peft           # these cases
    python tools/libraries/run.py --today             # one group of them, another one each day
    python tools/libraries/run.py --pytorch           # with PyTorch live: record, and make the page

Each file in ``cases/GROUP/`` is a real use of a library. A group's libraries are installed into a
fresh environment, which ``rushlight adopt`` has given rushlight for its torch. pip brings no torch.
Needs: pip, and a network that reaches PyPI. The exit code is 3 if a library differs, and 1 if the
libraries could not be installed or a case took too long.
"""

import argparse
import ast
import concurrent.futures
import datetime
import json
import os
import subprocess
import sys
import tempfile
import venv
from dataclasses import dataclass, field
from pathlib import Path

from compare import differences
from page import note, write_page

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CASES, ANSWERS, VERSIONS = HERE / "cases", HERE / "answers", HERE / "versions"
LIMIT = 300  # seconds that a case may take, on a busy machine
#: Nothing is downloaded, and each case has one thread.
OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "OMP_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
    "MPLBACKEND": "agg",
}


@dataclass
class Case:
    """A file of ``cases/``: what it says of itself, without being run."""

    file: Path
    title: str = ""
    constants: dict = field(default_factory=dict)

    def __post_init__(self):
        tree = ast.parse(self.file.read_text(encoding="utf-8"))
        self.title = (ast.get_docstring(tree) or self.file.stem).splitlines()[0]
        for node in tree.body:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                try:
                    self.constants[node.targets[0].id] = ast.literal_eval(node.value)
                except ValueError:  # not a literal, so no constant that is meant for this script
                    continue

    @property
    def name(self):
        return self.file.stem

    @property
    def requires(self):
        return self.constants["requires"]

    @property
    def group(self):
        return self.file.parent.name

    @property
    def answer(self):
        return ANSWERS / self.group / f"{self.name}.json"


class Environment:
    """A virtual environment of a group of cases, whose torch is rushlight or PyTorch."""

    def __init__(self, folder, group, torch):
        self.folder, self.torch = Path(folder, group, torch), torch
        self.versions = VERSIONS / f"{group}.txt"
        self.python = self.folder / ("Scripts" if os.name == "nt" else "bin") / "python"

    def make(self, cases):
        """Make the environment with the cases' libraries, in the versions that were recorded."""
        is_new = not self.python.exists()
        if is_new:
            venv.create(self.folder, with_pip=True)
            if self.torch == "pytorch":
                self.pip("install", "torch", "torchvision")
        if self.torch == "rushlight":
            self.pip("install", str(ROOT))
            command = [self.python, "-m", "rushlight", "adopt"]
            subprocess.run(command, check=True, cwd=self.folder, stdout=sys.stderr)
        if is_new:
            self.bare.write_text(str(self.size()))
        pins = ["--constraint", str(self.versions)] if self.versions.exists() else []
        requirements = sorted({name for case in cases for name in case.requires})
        print(f"{len(requirements)} libraries beside {self.torch}", flush=True)
        self.pip("install", *pins, *requirements)
        assert self.version("torch").endswith("+rushlight") == (self.torch == "rushlight")

    def pip(self, *arguments):
        command = [self.python, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments]
        subprocess.run(command, check=True, stdout=sys.stderr)

    def version(self, name):
        code = f"import importlib.metadata; print(importlib.metadata.version({name!r}))"
        done = subprocess.run([self.python, "-c", code], capture_output=True, text=True)
        return done.stdout.strip()

    def freeze(self):
        """name -> line of ``pip freeze``, but for torch and what only PyTorch's build needs."""
        command = [self.python, "-m", "pip", "freeze", "--exclude-editable"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        dropped = ("torch==", "torchvision==", "nvidia", "triton", "rushlight", "cuda")
        lines = [line for line in done.stdout.splitlines() if not line.startswith(dropped)]
        return {line.partition("==")[0]: line for line in lines if "==" in line}

    @property
    def bare(self):
        """The file with the MB on disk that the environment took before the libraries came."""
        return self.folder / "bare.txt"

    def size(self):
        """MB on disk."""
        files = (Path(folder, f) for folder, _, names in os.walk(self.folder) for f in names)
        return sum(f.lstat().st_size for f in files) / 2**20

    def run(self, case):
        """What ``one.py`` has written of the case, in a process of this environment."""
        with tempfile.TemporaryDirectory() as folder:
            result = Path(folder, "result.json")
            command = [self.python, HERE / "one.py", case.file, result]
            env = {**os.environ, **OFFLINE}
            try:
                done = subprocess.run(
                    command, capture_output=True, text=True, cwd=folder, timeout=LIMIT, env=env
                )  # fmt: skip
            except subprocess.TimeoutExpired:
                return {"error": f"still running after {LIMIT} s", "late": True}
            if not result.exists():
                return {"error": f"exit code {done.returncode}\n{done.stderr[-2000:]}"}
            return json.loads(result.read_text())


def main():
    options = parse()
    groups = sorted(folder.name for folder in CASES.iterdir() if folder.is_dir())
    if options.today:
        day = os.environ.get("RUSHLIGHT_TESTS_DAY") or str(datetime.date.today())
        groups = [groups[datetime.date.fromisoformat(day).toordinal() % len(groups)]]
    cases = cases_of(groups)
    if options.cases:
        cases = [case for case in cases if case.name in options.cases]
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        for group in groups:
            chosen = [case for case in cases if case.group == group]
            if chosen:
                rows += run_group(group, chosen, options, options.folder or temporary)
    if options.pytorch:
        note(rows)
        write_page(all_cases())
    equal = [row["equal"] for row in rows]
    print(f"{len(rows)} cases, {equal.count(True)} equal to PyTorch's")
    return 3 if False in equal else int(None in equal)


def all_cases():
    return cases_of(sorted(folder.name for folder in CASES.iterdir() if folder.is_dir()))


def cases_of(groups):
    return [Case(file) for group in groups for file in sorted((CASES / group).glob("*.py"))]


def run_group(group, cases, options, folder):
    """The rows of the page of a group's cases."""
    ours = Environment(folder, group, "rushlight")
    theirs = Environment(folder, group, "pytorch") if options.pytorch else None
    if theirs:
        theirs.make(cases)
        record_versions(theirs)
    ours.make(cases)
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        return list(pool.map(lambda case: judge(case, ours, theirs), cases))


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", metavar="CASE", help="names of files in cases/")
    parser.add_argument("--today", action="store_true", help="one group, another one each day")
    parser.add_argument("--pytorch", action="store_true",
        help="record PyTorch's answers, and make docs/libraries.md")  # fmt: skip
    parser.add_argument("--folder", help="where the environments are made, to be used again")
    parser.add_argument("--jobs", type=int, default=1, help="cases at a time; 1 for fair times")
    return parser.parse_args()


def record_versions(environment):
    """Note the versions that the environment has; those of other libraries stay."""
    file = environment.versions
    before = file.read_text().split() if file.exists() else []
    lines = {line.partition("==")[0]: line for line in before} | environment.freeze()
    file.write_text("\n".join(sorted(lines.values(), key=str.lower)) + "\n")


def judge(case, ours, theirs):
    """A case's row of the page; prints it."""
    if theirs:
        want = theirs.run(case)
        if "error" in want:
            raise SystemExit(f"{case.name} fails on PyTorch:\n{want['error']}")
        case.answer.parent.mkdir(exist_ok=True)
        case.answer.write_text(json.dumps(want["values"], indent=None) + "\n")
    found = ours.run(case)
    if "error" in found:
        lines = [found["error"]]
    else:
        values = json.loads(case.answer.read_text())
        lines = differences(found["values"], values, case.constants.get("tolerance"))
    verdict = f"{case.name}: {'DIFFERENT' if lines else 'equal'}"
    print(verdict, *lines[:5], sep="\n  ", flush=True)
    equal = None if "late" in found else not lines
    row = {"case": case.name, "equal": equal, "version": ours.version(case.requires[0])}
    if theirs:
        row["torch"] = want["torch"]
        row["disk"] = [float(environment.bare.read_text()) for environment in (ours, theirs)]
        row |= {key: (found.get(key), want[key]) for key in ("seconds", "memory")}
    return row


if __name__ == "__main__":
    sys.exit(main())
