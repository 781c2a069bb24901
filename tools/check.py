"""Check a change in about a minute: lint, format, types, and the tests of the touched files.

Run ``python tools/check.py`` before each commit. It needs ``pip install -e '.[dev]'``, and works on
every system. ``bash .ci/run`` checks everything, and a change must pass it before it lands.

A file counts as touched if it differs from the commit where the branch left ``main``; on ``main``
itself, if it differs from the last commit. ``python tools/check.py HEAD~3`` compares with another
commit, and ``--list`` only prints what would run.

A touched file is mapped to its tests by its path. For ``rushlight/a/b.py`` these are
``tests/a/test_b.py`` and ``tests/a/b/``. Where neither exists, they are ``tests/test_a.py`` and
``tests/a/``. A touched module or page also runs its own doctests. A touched module also runs
``tests/test_house.py``, the rules of the house.
"""

import argparse
import os
import shlex
import subprocess
import sys
import time
import tomllib
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parent.parent
#: Pages with doctests run under the same flags as in .ci/run.
PAGE_OPTIONS = ["--doctest-glob=*.md", "-o", "doctest_optionflags=ELLIPSIS NORMALIZE_WHITESPACE"]
NO_TESTS = 5  # pytest's exit code where it collected nothing, as for a module without doctests
FEW = 20  # up to this many modules, doctests take less time than the start of parallel workers
MANY = 200  # above this many modules, all doctests run: Windows limits a command's length


def git(*arguments):
    """What a git command prints; None where it fails."""
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True)
    return os.fsdecode(done.stdout) if done.returncode == 0 else None


def base_of(commit):
    """The commit that the working tree is compared with."""
    if commit is not None:
        return commit
    for main in ("main", "origin/main"):
        found = git("merge-base", "HEAD", main)
        if found:
            return found.strip()
    return "HEAD"


def touched(base):
    """Paths of the files that differ from ``base``; new and deleted files are included."""
    changed = git("diff", "--name-only", "--no-renames", "-z", base, "--")
    new = git("ls-files", "--others", "--exclude-standard", "-z")
    if changed is None or new is None:
        sys.exit(f"check: git cannot compare the working tree with {base}")
    return sorted(set(filter(None, (changed + new).split("\0"))))


def has_tests(folder):
    """True for a folder in which, or below which, there is a test file."""
    return any((ROOT / folder).rglob("test_*.py"))


def tests_of(path):
    """The test files and folders of one touched file; the nearest ones decide."""
    path = PurePosixPath(path)
    if path.parts[0] == "docs" and path.name in ("coverage.md", "surface.tsv"):
        return ["tests/test_house.py"]
    if path.parts[0] == "examples" and path.suffix == ".py":
        return ["tests/programs/test_examples.py"]
    if path.parts[0] not in ("rushlight", "tests"):
        return []
    if path.parts[0] == "tests" and path.name.startswith("test_"):
        return [str(path)] if (ROOT / path).exists() else []
    parts = path.with_suffix("").parts[1:]
    if parts[-1] == "__init__":
        parts = parts[:-1]
    for count in range(len(parts), 0, -1):
        file = PurePosixPath("tests", *parts[: count - 1], f"test_{parts[count - 1]}.py")
        folder = PurePosixPath("tests", *parts[:count])
        found = [str(file)] if (ROOT / file).exists() else []
        if has_tests(folder):
            found.append(str(folder))
        if found:
            return found
    return []


def without_inner(paths):
    """``paths`` without those that lie in a folder which is also among them."""
    chosen = set(paths)
    return sorted(p for p in chosen if not chosen & {str(q) for q in PurePosixPath(p).parents})


def ignored():
    """Paths that pytest must not import: importing them takes the name ``torch``."""
    with open(ROOT / "pyproject.toml", "rb") as file:
        options = tomllib.load(file)["tool"]["pytest"]["ini_options"]["addopts"]
    words = shlex.split(options)
    return [w.removeprefix("--ignore=") for w in words if w.startswith("--ignore=")]


def doctests_of(paths):
    """(modules, pages) among ``paths`` that may have doctests of their own."""
    skipped = tuple(ignored())
    there = [p for p in paths if (ROOT / p).exists() and not p.startswith(skipped)]
    modules = [p for p in there if p.startswith("rushlight/") and p.endswith(".py")]
    pages = [p for p in there if p.startswith("docs/") and p.endswith(".md")]
    return modules, [p for p in pages if ">>> " in (ROOT / p).read_text(encoding="utf-8")]


def steps(paths):
    """(name, the arguments of Python) of each thing to run."""
    tests = [test for path in paths for test in tests_of(path)]
    if any(p.startswith("rushlight/") for p in paths):
        tests.append("tests/test_house.py")
    modules, pages = doctests_of(paths)
    workers = ["-n", "0"] if len(modules) <= FEW else []
    pytest = ["-m", "pytest", "-p", "no:cacheprovider"]
    yield "ruff check", ["-m", "ruff", "check", "."]
    yield "ruff format", ["-m", "ruff", "format", "--check", "."]
    yield "mypy", ["-m", "mypy"]
    if len(modules) > MANY:
        modules = ["rushlight"]
    if modules:
        yield "doctests", [*pytest, *workers, "--doctest-modules", *modules]
    if pages:
        yield "pages", [*pytest, "-n", "0", *PAGE_OPTIONS, *pages]
    if tests:
        yield "tests", [*pytest, *without_inner(tests)]


def passes(arguments):
    """Run Python with ``arguments`` and print what it prints; True if all is well."""
    code = subprocess.run([sys.executable, *arguments], cwd=ROOT).returncode
    return code == 0 or (code == NO_TESTS and "pytest" in arguments)


def main():
    """Run the checks; the exit code is 1 if one of them fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("base", nargs="?", help="the commit to compare with (default: main)")
    parser.add_argument("--list", action="store_true", help="only print what would run")
    options = parser.parse_args()
    paths = touched(base_of(options.base))
    chosen = list(steps(paths))
    untested = [p for p in paths if p.endswith(".py") and not tests_of(p)]
    print(f"check: {len(paths)} file{'s' * (len(paths) != 1)} touched")
    if untested:
        print(f"check: only `bash .ci/run` tests {', '.join(untested)}")
    begin, failed = time.monotonic(), []
    for name, arguments in chosen:
        print(f"\n== {name}: python {shlex.join(arguments)}", flush=True)
        if not options.list and not passes(arguments):
            failed.append(name)
    if options.list:
        return
    if failed:
        sys.exit(f"\ncheck: failed: {', '.join(failed)}")
    names = ", ".join(name for name, _ in chosen)
    print(f"\ncheck: passed: {names} ({time.monotonic() - begin:.0f} s)")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
