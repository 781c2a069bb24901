"""Run the test files of PyTorch's libraries themselves on rushlight.

    python tools/libraries/own_tests.py                  # all suites
    python tools/libraries/own_tests.py einops zuko      # these
    python tools/libraries/own_tests.py --pytorch        # and failing tests with PyTorch, for the page

``own_suites.py`` lists the suites. A suite's library is checked out of its repository, and its
tests run on the checkout, in an environment to which ``rushlight adopt`` has given rushlight for
its torch. With ``--pytorch`` the tests that fail run once more in an environment with PyTorch:
those that pass there are faults of rushlight. Needs: pip, git, and a network that reaches PyPI and
the repositories. The exit code is 3 if a test fails that passes with PyTorch.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from own_suites import SUITES
from run import OFFLINE

HERE = Path(__file__).parent
#: Of files that a checkout has; pictures and checkpoints are left out.
SUFFIXES = {".py", ".toml", ".cfg", ".ini", ".txt", ".md", ".json", ".yaml", ".yml", ".csv", ".out"}


def checkout(suite, sources, folder):
    """The suite's files of its repository at its revision, in a folder."""
    target = Path(folder, suite.library)
    if target.exists():
        return target
    repository = Path(sources, suite.repository.replace("/", "+"), "repo")
    if not repository.exists():
        address = f"https://github.com/{suite.repository}"
        command = ["git", "clone", "--quiet", "--bare", "--filter=blob:none", address, repository]
        subprocess.run(command, check=True)
    target.mkdir(parents=True)
    git = ["git", "-C", repository]
    command = [*git, "ls-tree", "-r", "--name-only", suite.revision, *suite.files]
    listed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    names = [name for name in listed.stdout.splitlines() if Path(name).suffix in SUFFIXES]
    command = [*git, "archive", suite.revision, "--", *names]
    archive = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    subprocess.run(["tar", "x", "-C", target], input=archive.stdout, check=True)
    for name, text in suite.written.items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_text(text)
    return target


def run_suite(suite, python, where, limit, only=None):
    """test -> what ``own_report.py`` noted of it."""
    with tempfile.TemporaryDirectory() as temporary:
        report = Path(temporary, "report")
        report.touch()
        env = {**os.environ, **OFFLINE, **suite.environment, "OWN_REPORT": str(report)}
        paths = [str(HERE), *[str(where / path) for path in suite.path]]
        env["PYTHONPATH"] = os.pathsep.join([*paths, env.get("PYTHONPATH", "")])
        env["OWN_LEFT_OUT"] = json.dumps(list(suite.left_out))
        if only:
            env["OWN_ONLY"] = str(Path(temporary, "only"))
            Path(env["OWN_ONLY"]).write_text("\n".join(only))
        command = [python, "-m", "pytest", "-p", "own_report", "-p", "no:cacheprovider", "-q"]
        command += ["-o", "addopts=", "-o", "filterwarnings=", "--tb=short", "--timeout=60"]
        command += ["--continue-on-collection-errors", *suite.options, *suite.tests]
        log = open(where.parent / f"{suite.library}.log", "w")
        process = subprocess.Popen(
            command, cwd=where / suite.cwd, env=env, stdout=log, stderr=log, start_new_session=True
        )
        try:
            process.wait(limit)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        lines = [json.loads(line) for line in report.read_text().splitlines()]
        found = {}
        for line in lines:
            if found.get(line["test"], {}).get("outcome") != "failed":
                found[line["test"]] = line
        now = Path(f"{report}.now")
        if process.returncode not in (0, 1) and now.exists():
            print(f"  ended with {process.returncode} in {now.read_text()}", flush=True)
        return found


def short(why):
    lines = [line for line in why.splitlines() if line.startswith("E  ")] or why.splitlines()
    return " ".join(lines[:1])[:170]


def main():
    options = parse()
    ours = Path(options.folder, "own/bin/python")
    theirs = Path(options.folder, "own_torch/bin/python")
    wrong = 0
    for suite in SUITES:
        if options.suites and suite.library not in options.suites:
            continue
        where = checkout(suite, options.sources, Path(options.folder, "checkouts"))
        began = time.time()
        found = run_suite(suite, ours, where, options.limit)
        outcomes = [line["outcome"] for line in found.values()]
        failed = [name for name, line in found.items() if line["outcome"] == "failed"]
        only_ours = failed
        if failed and options.pytorch:
            twin = run_suite(suite, theirs, where, options.limit, failed)
            only_ours = [t for t in failed if twin.get(t, {}).get("outcome") == "passed"]
        counts = {kind: outcomes.count(kind) for kind in sorted(set(outcomes))}
        print(f"{suite.library}: {counts}, {len(only_ours)} only here, {time.time() - began:.0f} s", flush=True)
        for name in only_ours[:40]:
            print("  ", name, "|", short(found[name].get("why", "")), flush=True)
        wrong += len(only_ours)
        (where.parent / f"{suite.library}.json").write_text(json.dumps({"ours": found, "only": only_ours}))
    return 3 if wrong else 0


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("suites", nargs="*", metavar="LIBRARY")
    parser.add_argument("--pytorch", action="store_true", help="run failing tests with PyTorch")
    parser.add_argument("--folder", help="where the environments are made")
    parser.add_argument("--sources", help="a folder of repositories, OWNER+NAME/repo")
    parser.add_argument("--limit", type=int, default=400, help="seconds that a suite may take")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
