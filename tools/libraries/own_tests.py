"""Run the test files of PyTorch's libraries themselves on rushlight.

    python tools/libraries/own_tests.py                  # all suites
    python tools/libraries/own_tests.py einops zuko      # these
    python tools/libraries/own_tests.py --pytorch        # failing tests with PyTorch, too: the page

``own_suites.py`` lists the suites. A suite is checked out of its library's repository, and runs in
an environment to which ``rushlight adopt`` has given rushlight for its torch. Tests that fail run
once more in an environment with PyTorch. A test that passes there is a fault of rushlight's.
Needs: pip, git, tar, and a network that reaches PyPI and GitHub. The exit code is 3 if a test fails
that passes with PyTorch.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from own_suites import SUITES
from page import OWN_FIGURES, note, write_page
from run import OFFLINE, Environment, all_cases, record_versions

HERE = Path(__file__).parent
#: Of files that are checked out; others are pictures, checkpoints and sounds.
SUFFIXES = {
    ".py",
    ".toml",
    ".cfg",
    ".ini",
    ".txt",
    ".md",
    ".json",
    ".yaml",
    ".yml",
    ".csv",
    ".out",
    ".info",
}
TOOLS = ("pytest", "pytest-timeout", "pytest-mock", "parameterized", "hypothesis", "scikit-learn")
TEST_LIMIT = 120  # seconds that one test may take


@dataclass(frozen=True)
class Requirements:
    """What ``Environment.make`` installs."""

    requires: tuple


def main():
    options = parse()
    known = {suite.library: suite for suite in SUITES}
    suites = [known[name] for name in options.suites or known]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(options.folder or temporary)
        ours, theirs = (Environment(folder, "own", torch) for torch in ("rushlight", "pytorch"))
        if not options.as_they_are:
            needed = [Requirements((*TOOLS, *suite.distributions)) for suite in suites]
            theirs.make(needed)
            record_versions(theirs)
            ours.make(needed)
        sources = Path(options.sources or folder / "sources")
        rows = [judge(suite, checkout(suite, sources, folder / "checkouts"), ours, theirs, options)
                for suite in suites]  # fmt: skip
    return 3 if any(row["faults"] for row in rows) else 0


def checkout(suite, sources, folder):
    """The suite's files at its revision, in a folder."""
    target = folder / suite.library
    if target.exists():
        return target
    repository = sources / suite.repository.replace("/", "+") / "repo"
    if not repository.exists():
        address = f"https://github.com/{suite.repository}"
        command = ["git", "clone", "--quiet", "--bare", "--filter=blob:none", address, repository]
        subprocess.run(command, check=True)
    git = ["git", "-C", repository]
    command = [*git, "ls-tree", "-r", "--name-only", suite.revision, *suite.files.split()]
    listed = subprocess.run(command, check=True, capture_output=True, text=True)
    names = [name for name in listed.stdout.splitlines() if Path(name).suffix in SUFFIXES]
    command = [*git, "archive", suite.revision, "--", *names]
    archive = subprocess.run(command, check=True, capture_output=True)
    target.mkdir(parents=True)
    subprocess.run(["tar", "x", "-C", target], input=archive.stdout, check=True)
    return target


def judge(suite, where, ours, theirs, options):
    """A suite's row of the page; prints it."""
    found, ended = run(suite, where, ours.python, options.limit)
    failed = [test for test, line in found.items() if line["outcome"] == "failed"]
    twin = run(suite, where, theirs.python, options.limit, failed)[0] if failed else {}
    faults = [test for test in failed if twin.get(test, {}).get("outcome") == "passed"]
    outcomes = [line["outcome"] for line in found.values()]
    row = {
        "case": suite.library,
        "passed": outcomes.count("passed"),
        "faults": faults,
        "failed": len(failed) - len(faults),
        "skipped": outcomes.count("skipped"),
        "left out": outcomes.count("left out"),
        "ended": ended,
    }
    counts = ", ".join(f"{n if isinstance(n, int) else len(n)} {kind}"
                       for kind, n in row.items() if kind not in ("case", "ended"))  # fmt: skip
    print(f"{suite.library}: {counts}{f', {ended}' if ended else ''}", flush=True)
    kinds = {}
    for test in faults:
        kinds.setdefault(short(found[test]["why"]), []).append(test)
    for why, tests in kinds.items():
        print(f"  {len(tests)} tests, as {tests[0]}:\n    {why}", flush=True)
    (where.parent / f"{suite.library}.json").write_text(json.dumps(found, indent=0))
    if options.pytorch:
        note([row], OWN_FIGURES)
        write_page(all_cases())
    return row


def short(why):
    """The line of a failure that says what is wrong."""
    lines = [line for line in why.splitlines() if line.startswith("E  ")] or why.splitlines()
    return "".join(lines[:1])[:170]


def run(suite, where, python, limit, only=()):
    """Test -> what ``own_report.py`` noted of it; and why the run ended early, if it did."""
    with tempfile.TemporaryDirectory() as folder:
        report, chosen = Path(folder, "report"), Path(folder, "only")
        report.touch()
        env = {**os.environ, **OFFLINE, **suite.environment, "OWN_REPORT": str(report)}
        env["OWN_LEFT_OUT"] = json.dumps(list(suite.left_out))
        if only:
            chosen.write_text("\n".join(only))
            env["OWN_ONLY"] = str(chosen)
        paths = [str(HERE), *[str(where / path) for path in suite.path.split()]]
        env["PYTHONPATH"] = os.pathsep.join([*paths, env.get("PYTHONPATH", "")])
        command = [python, "-m", "pytest", "-p", "own_report", "-p", "no:cacheprovider", "-q"]
        command += ["-o", "addopts=", "-o", "filterwarnings=", "--tb=short"]
        command += [f"--timeout={TEST_LIMIT}", "--continue-on-collection-errors"]
        command += ["-o", f"python_files={suite.pattern}", *suite.tests.split()]
        with open(where.parent / f"{suite.library}.log", "w") as log:
            process = subprocess.Popen(command, cwd=where / suite.folder, env=env, stdout=log,
                                       stderr=log, start_new_session=True)  # fmt: skip
            try:
                code = process.wait(limit)
                ended = "" if code in (0, 1) else f"ended with {code}"
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                ended = f"stopped after {limit} s"
        found = {}
        for line in map(json.loads, report.read_text().splitlines()):
            if found.get(line["test"], {}).get("outcome") != "failed":
                found[line["test"]] = line
        return found, ended


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("suites", nargs="*", metavar="LIBRARY", help="libraries of own_suites.py")
    parser.add_argument("--pytorch", action="store_true", help="make docs/libraries.md")
    parser.add_argument("--folder", help="where environments are made, to be used again")
    parser.add_argument("--sources", help="a folder of repositories, OWNER+NAME/repo")
    parser.add_argument("--as-they-are", action="store_true", help="install nothing")
    parser.add_argument("--limit", type=int, default=400, help="seconds that a suite may take")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
