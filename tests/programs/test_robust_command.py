"""The command says what is wrong in one line, whatever its files, pipes and settings are."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
POSIX = pytest.mark.skipif(os.name != "posix", reason="pipes, devices and permissions of POSIX")
FULL = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no full device")


def long(*case):
    """A case that long test runs have alone: each starts a process."""
    return pytest.param(*case, marks=pytest.mark.slow)


def command(*arguments, redirect="", folder=None, PYTHONUNBUFFERED="", **environment):
    """(exit code, output, complaints) of a process that runs the command."""
    line = f'"$0" -m rushlight "$@" {redirect}'
    done = subprocess.run(
        ["bash", "-c", line, sys.executable, *map(str, arguments)],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": PYTHONUNBUFFERED,
            **environment,
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.returncode, done.stdout, done.stderr


def one_line(complaints):
    assert complaints.startswith("rushlight") and complaints.count("\n") == 1, complaints
    return complaints


# Reading -----------------------------------------------------------------------------------

FILES = {
    "null bytes": b"import torch\0\n",
    "not utf-8": b"x = '\xff\xfe'\n",
    "an unknown encoding": b"# -*- coding: klingon -*-\n",
    "an encoding of bytes": b"# -*- coding: hex -*-\nx = 1\n",
    "an encoding that refuses": b"# -*- coding: undefined -*-\nx = 1\n",
    "utf-16": "import torch\n".encode("utf-16"),
    "deep": b"x = " + b"(" * 5000 + b")" * 5000,
    "long": b"x = 1" + b"+1" * 100_000,
    "attributes": b"import torch\ntorch" + b".a" * 50_000,
    "a syntax error": b"def\n",
}


@pytest.mark.parametrize("content", FILES.values(), ids=FILES)
def test_files_that_are_no_python(tmp_path, content, capsys):
    from rushlight.cli import main

    (tmp_path / "a.py").write_bytes(content)
    (tmp_path / "b.py").write_text("import torch\ntorch.no_such_name\n")
    assert main(["check", str(tmp_path)]) == 2
    printed = capsys.readouterr()
    assert "a.py: " in one_line(printed.err)
    assert "b.py:2: torch.no_such_name" in printed.out  # the others are read all the same


@pytest.mark.slow
@POSIX
def test_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "loop.py").symlink_to("loop.py")
    (tmp_path / "gone.py").symlink_to("nowhere")
    (tmp_path / "folder.py").mkdir()
    (tmp_path / "folder.py" / "x.py").write_text("import torch\n")
    (tmp_path / "new\nline.py").write_text("def\n")
    (tmp_path / "circle").symlink_to(tmp_path)
    code, output, complaints = command("check", tmp_path)
    assert code == 2 and "1 file read" in output
    lines = complaints.splitlines()
    assert len(lines) == 4 and all(line.startswith("rushlight check: ") for line in lines)
    for part in (
        "pipe.py: it is not a file",
        "loop.py: Too many levels",
        "gone.py: No such file",
        "new\\nline.py",
    ):
        assert part in complaints
    for name in ("pipe.py", "loop.py", "missing.py", "folder.py/x.py/y.py"):
        code, output, complaints = command("check", tmp_path / name)
        assert code == 2 and not output and one_line(complaints)


@POSIX
def test_folders_that_may_not_be_read(tmp_path):
    (tmp_path / "open.py").write_text("import torch\n")
    (tmp_path / "closed").mkdir()
    (tmp_path / "closed" / "x.py").write_text("import torch\n")
    os.chmod(tmp_path / "closed", 0)
    try:
        if os.access(tmp_path / "closed", os.R_OK):
            pytest.skip("the superuser may read anything")
        code, output, complaints = command("check", tmp_path)
    finally:
        os.chmod(tmp_path / "closed", 0o700)
    assert code == 2 and "1 file read" in output and "closed: Permission denied" in complaints


def test_errors_of_listing_a_folder_are_told(tmp_path, monkeypatch, capsys):
    from rushlight.cli import main

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", refuse)
    assert main(["check", str(tmp_path)]) == 2
    assert "Permission denied" in one_line(capsys.readouterr().err)


# Writing -----------------------------------------------------------------------------------


def programs(folder):
    (folder / "x.py").write_text("import torch\n" + "torch.no_such_name\n" * 3_000)
    (folder / "run.py").write_text("for i in range(20_000): print(i)\n")
    (folder / "exit.py").write_text("print('x')\nraise SystemExit(3)\n")
    return {
        "check": ("check", "x.py"), "demo": ("demo", "--epochs", "1", "--out", "out"),
        "help": ("--help",), "run": ("run", "run.py"), "exit": ("run", "exit.py"),
    }  # fmt: skip


@pytest.mark.slow
@FULL
@POSIX
@pytest.mark.parametrize("kind, unbuffered", [
    ("check", ""), long("check", "1"), ("demo", ""), long("demo", "1"), long("help", ""), ("run", ""),
    ("exit", ""),
])  # fmt: skip
def test_a_full_disk_at_the_output(tmp_path, kind, unbuffered):
    code, _, complaints = command(
        *programs(tmp_path)[kind],
        redirect="> /dev/full",
        folder=tmp_path,
        PYTHONUNBUFFERED=unbuffered,
    )
    assert code == 1 and "No space left on device" in complaints
    if kind != "run":  # there it is the program's own error
        one_line(complaints)


@POSIX
@pytest.mark.parametrize("kind, unbuffered", [
    ("check", ""), long("check", "1"), long("demo", ""), long("help", ""), ("run", ""), long("run", "1"),
])  # fmt: skip
def test_a_reader_that_has_gone(tmp_path, kind, unbuffered):
    code, _, complaints = command(
        *programs(tmp_path)[kind],
        redirect="| (exec <&-; sleep 0.1); exit ${PIPESTATUS[0]}",
        folder=tmp_path,
        PYTHONUNBUFFERED=unbuffered,
    )
    assert (code, complaints) == (1, "")


@POSIX
@pytest.mark.parametrize("redirect", [">&-", long("2>&-"), long(">&- 2>&-")])
@pytest.mark.parametrize("kind", ["check", "exit"])
def test_no_output_at_all(tmp_path, redirect, kind):
    code, _, complaints = command(*programs(tmp_path)[kind], redirect=redirect, folder=tmp_path)
    assert code == (1 if kind == "check" else 3) and not complaints


# The demo ----------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_bad_choice_of_matplotlibs_window(tmp_path):
    code, _, complaints = command(
        "demo", "--epochs", "1", "--out", tmp_path, MPLBACKEND="no such thing"
    )
    assert code == 0 and not complaints and (tmp_path / "curves.png").exists()


@pytest.mark.slow
@POSIX
@pytest.mark.parametrize("name", ["state.pt", long("model.safetensors"), long("results.json")])
def test_pipes_where_the_demo_writes(tmp_path, name):
    os.mkfifo(tmp_path / name)
    code, _, complaints = command("demo", "--epochs", "1", "--out", tmp_path)
    assert code == 2 and f"{name} cannot be written: it is not a file" in one_line(complaints)
    if name == "state.pt":
        code, _, complaints = command("demo", "--resume", "--out", tmp_path)
        assert code == 2 and "cannot be read: it is not a file" in one_line(complaints)


@pytest.mark.slow
@POSIX
def test_folders_that_are_none(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    for arguments in (("--out", tmp_path / "loop"), ("--resume", "--out", tmp_path / "loop"),
                      ("--data", tmp_path / "loop"), ("--out", "a" * 300)):  # fmt: skip
        code, _, complaints = command("demo", *arguments)
        assert code == 2 and one_line(complaints)


# A program ---------------------------------------------------------------------------------


@POSIX
@pytest.mark.parametrize("name", ["missing.py", "folder", "loop.py"])
def test_programs_that_cannot_be_read(tmp_path, name):
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop.py").symlink_to("loop.py")
    code, _, complaints = command("run", tmp_path / name)
    assert code == 2 and "rushlight run: can't " in one_line(complaints)


def test_a_broken_pipe_of_the_programs_own_is_shown(tmp_path):
    (tmp_path / "x.py").write_text("raise BrokenPipeError(32, 'mine')\n")
    code, _, complaints = command("run", tmp_path / "x.py")
    assert code == 1 and "BrokenPipeError" in complaints and "mine" in complaints
