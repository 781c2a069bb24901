"""The command: what a run leaves, that it resumes to the last bit, and how it refuses."""

import csv
import gzip
import io
import json
import os
import signal
import struct
import subprocess
import sys

import numpy as np
import pytest

import rushlight as torch
from rushlight.cli import main
from rushlight.demo import checkpoint, pictures, results, training
from rushlight.demo.data import load
from rushlight.demo.options import DemoError

STATE = "state.pt"
RESULTS = {
    "confusion.csv", "confusion.png", "curves.png", "model.safetensors", "predictions.png",
    "results.json", STATE,
}  # fmt: skip
FIRST_EPOCH = {  # what PyTorch 2.13 gives for the same program; later, rounding has grown
    "mlp": {"train_loss": 1.4364637300714322, "test_loss": 0.47025561332702637},
    "cnn": {"train_loss": 1.0528214271896486, "test_loss": 0.39966022968292236},
}
PNG = b"\x89PNG\r\n\x1a\n"


def demo(out, *options):
    """Run the demo in this process; returns its exit code."""
    return main(["demo", "--out", str(out), *map(str, options)])


def contents(folder):
    """All files in a folder, by name; of a state its values, and of its generators torch's."""
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    if STATE in files and files[STATE].startswith(b"PK"):
        state = torch.load(folder / STATE)
        files[STATE] = plain([state["parts"], state["random"]["torch"]])
    return files


def plain(value):
    """``value`` with each tensor as its bytes."""
    if isinstance(value, torch.Tensor):
        return str(value.dtype), value.shape, value.numpy().tobytes()
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A folder of 50 training and 12 test images of 8 x 8, in IDX files."""
    folder = tmp_path_factory.mktemp("small")
    data = load(None)
    for part, name, count in ((data.train, "train", 50), (data.test, "t10k", 12)):
        images = (part.images[:count, 0] * 255).to(torch.uint8).numpy()
        labels = part.labels[:count].to(torch.uint8).numpy()
        header = bytes([0, 0, 8, 3]) + struct.pack(">3I", *images.shape)
        (folder / f"{name}-images-idx3-ubyte.gz").write_bytes(
            gzip.compress(header + images.tobytes())
        )
        header = bytes([0, 0, 8, 1]) + struct.pack(">I", count)
        (folder / f"{name}-labels-idx1-ubyte").write_bytes(header + labels.tobytes())
    return folder


@pytest.fixture
def unpainted(monkeypatch):
    """Pictures cost a second each; runs that are only compared go without."""
    for name in ("confusion", "curves", "predictions"):
        monkeypatch.setattr(pictures, name, lambda *arguments: PNG)


@pytest.fixture
def signals(monkeypatch):
    """Makes the training send SIGINT to itself, in the middle of the given steps."""
    step = training.Training.step

    def at(*numbers, times=1):
        done = 0

        def interrupted(self):
            nonlocal done
            done += 1
            if done in numbers:
                for _ in range(times):
                    signal.raise_signal(signal.SIGINT)
            step(self)

        monkeypatch.setattr(training.Training, "step", interrupted)

    return at


@pytest.mark.slow
def test_default_run(tmp_path, capsys):
    out = tmp_path / "new" / "folder"
    assert demo(out) == 0
    files = contents(out)
    assert files.keys() == RESULTS
    facts = json.loads(files["results.json"])
    assert facts["test_accuracy"] >= 0.97
    for quantity, loss in FIRST_EPOCH["mlp"].items():
        assert facts["history"][0][quantity] == pytest.approx(loss, rel=1e-4)
    assert facts["history"][-1]["test_accuracy"] == facts["test_accuracy"]
    rows = list(csv.reader(io.StringIO(files["confusion.csv"].decode())))
    assert [row[0] for row in rows[1:]] == rows[0][1:] == [str(digit) for digit in range(10)]
    matrix = np.array(rows[1:], dtype=int)[:, 1:]
    assert (matrix == facts["confusion"]).all()
    assert (matrix.sum(1) == 36).all()
    assert matrix.trace() == round(facts["test_accuracy"] * 360)
    for name, content in files.items():
        assert not name.endswith(".png") or (content.startswith(PNG) and len(content) > 10_000)
    model = results.load_model(out / "model.safetensors")
    _, tally = training.evaluate(model, load(None).test, "cpu")
    assert tally.accuracy == facts["test_accuracy"]
    printed = capsys.readouterr()
    assert f"test accuracy {facts['test_accuracy']:.2%}" in printed.out
    assert "loaded again, it gives the same 360 predictions" in printed.out
    assert "epoch 20/20" in printed.out
    assert printed.out.isascii()  # for Windows' code pages
    assert printed.err == ""


@pytest.mark.slow
def test_cnn_is_better(tmp_path):
    assert demo(tmp_path, "--model", "cnn") == 0
    facts = json.loads((tmp_path / "results.json").read_text())
    assert facts["test_accuracy"] >= 0.98
    for quantity, loss in FIRST_EPOCH["cnn"].items():
        assert facts["history"][0][quantity] == pytest.approx(loss, rel=1e-4)


def test_same_seed_same_bytes(tmp_path, small, unpainted):
    for folder, seed in (("a", 3), ("b", 3), ("c", 4)):
        assert demo(tmp_path / folder, "--data", small, "--epochs", 2, "--seed", seed) == 0
    a, b, c = (contents(tmp_path / folder) for folder in "abc")
    assert a == b
    assert a["model.safetensors"] != c["model.safetensors"]


@pytest.mark.parametrize("model", ["mlp", "cnn"])
def test_resumed_run_ends_like_an_unbroken_one(tmp_path, small, model, unpainted, signals, capsys):
    options = ("--data", small, "--model", model, "--epochs", 3, "--batch-size", 16)  # 3 x 4 steps
    assert demo(tmp_path / "unbroken", *options) == 0
    broken = tmp_path / "broken"
    signals(2, 3, 4, 12, times=3)  # in an epoch, before and at its end, in the last step of all
    assert demo(broken, *options) == 130
    assert contents(broken).keys() == {STATE}
    assert "after epoch 0 of 3, batch 2 of 4" in capsys.readouterr().out
    assert demo(broken, "--resume") == 130
    assert demo(broken, "--resume", "--epochs", 3) == 130
    assert "after epoch 1 of 3, batch 0 of 4" in capsys.readouterr().out
    assert demo(broken, "--resume", *options) == 130
    assert "after epoch 3 of 3" in capsys.readouterr().out
    assert demo(broken, "--resume") == 0
    assert contents(broken) == contents(tmp_path / "unbroken")


def test_signal_before_training_and_among_results(tmp_path, small, unpainted, monkeypatch):
    options = ("--data", small, "--epochs", 1)
    assert demo(tmp_path / "unbroken", *options) == 0
    prepare, broken = checkpoint.prepare, tmp_path / "broken"
    with monkeypatch.context() as patch:
        patch.setattr(
            checkpoint, "prepare", lambda out: (prepare(out), signal.raise_signal(signal.SIGTERM))
        )
        assert demo(broken, *options) == 143
    save = checkpoint.save_state
    with monkeypatch.context() as patch:
        patch.setattr(
            checkpoint,
            "save_state",
            lambda *file: (signal.raise_signal(signal.SIGINT), save(*file)),
        )
        assert demo(broken, "--resume") == 130  # within the save itself
    assert contents(broken).keys() == {STATE}
    assert demo(broken, "--resume") == 0
    assert contents(broken) == contents(tmp_path / "unbroken")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.skipif(os.name == "nt", reason="a process there cannot send Ctrl-C to another alone")
def test_interrupted_process(tmp_path):
    out = tmp_path / "\u96f7"
    command = [sys.executable, "-m", "rushlight", "demo", "--out", out.name, "--epochs", "100000"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    narrow = {**os.environ, "PYTHONIOENCODING": "ascii"}
    with subprocess.Popen(command, cwd=tmp_path, env=narrow, **pipes) as process:
        try:
            while not process.stdout.readline().startswith("epoch"):
                assert process.poll() is None
            process.send_signal(signal.SIGINT)
            output, complaints = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 130
    assert "rushlight demo --resume --out \\u96f7" in output
    assert complaints == ""
    assert contents(out).keys() == {STATE}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--epochs 0", "argument --epochs: '0' is not a whole number from 1 to 1000000"),
        ("--epochs 1.5", "'1.5' is not a whole number"),
        ("--epochs 1000001", "'1000001' is not a whole number"),
        ("--batch-size 0", "argument --batch-size: '0' is not a whole number"),
        ("--batch-size -3", "'-3' is not a whole number"),
        ("--seed -1", "'-1' is not a whole number from 0"),
        ("--seed 9223372036854775808", "is not a whole number from 0"),
        ("--lr 0", "argument --lr: '0' is not a number above zero"),
        ("--lr -0.1", "'-0.1' is not a number above zero"),
        ("--lr nan", "'nan' is not a number above zero"),
        ("--lr 1e999", "'1e999' is not a number above zero"),
        ("--lr fast", "'fast' is not a number above zero"),
        ("--model rnn", "invalid choice: 'rnn'"),
        ("--data=", "the name of a folder is empty"),
        ("--out=", "the name of a folder is empty"),
        ("--data missing", "missing has no file train-images-idx3-ubyte"),
        ("--speed 9", "unrecognized arguments: --speed 9"),
        ("--resume", "holds no saved run"),
    ],
)
def test_bad_options(tmp_path, monkeypatch, capsys, options, message):
    monkeypatch.chdir(tmp_path)
    try:
        code = main(["demo", *options.split()])
    except SystemExit as exit:
        code = exit.code
    printed = capsys.readouterr()
    assert code == 2
    assert message in printed.err
    assert printed.err.startswith("rushlight")
    assert printed.err.count("\n") == 1
    assert printed.out == ""
    assert not list(tmp_path.iterdir())


def refused(capsys, *arguments):
    """The one line with which a run is refused."""
    capsys.readouterr()
    assert demo(*arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("rushlight demo: ")
    assert error.count("\n") == 1
    return error


def test_bad_data(tmp_path, small, capsys):
    folder, out = tmp_path / "data", tmp_path / "out"
    folder.mkdir()
    for name, content in contents(small).items():
        (folder / name).write_bytes(content)
    images = folder / "t10k-images-idx3-ubyte.gz"
    images.write_bytes(images.read_bytes()[:-20])
    assert "damaged gzip" in refused(capsys, out, "--data", folder)
    header = bytes([0, 0, 8, 3]) + struct.pack(">3I", 12, 3, 2)
    images.write_bytes(header + bytes(72))
    assert "training images are (8, 8), test images are (3, 2)" in refused(
        capsys, out, "--data", folder
    )
    header = bytes([0, 0, 8, 3]) + struct.pack(">3I", 50, 3, 2)
    (folder / "train-images-idx3-ubyte.gz").write_bytes(header + bytes(300))
    message = refused(capsys, out, "--data", folder, "--model", "cnn")
    assert "at least 4 x 4; these are 3 x 2" in message
    assert not out.exists()


def test_bad_folder(tmp_path, capsys, monkeypatch):
    file = tmp_path / "file"
    file.write_text("mine")
    for out in (file, file / "below"):
        assert f"--out {out}: " in refused(capsys, out)
    assert file.read_text() == "mine"
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o555)
    if not os.access(closed, os.W_OK):  # the superuser may write anywhere
        assert "Permission denied" in refused(capsys, closed)

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    out = tmp_path / "full"
    assert "cannot be written: No space left" in refused(capsys, out, "--epochs", 1)
    assert not list(out.iterdir())


def test_bad_resume(tmp_path, small, capsys, signals):
    signals(3)
    assert demo(tmp_path, "--data", small, "--epochs", 4, "--batch-size", 16) == 130
    state = tmp_path / STATE
    whole = state.read_bytes()
    for options, message in (
        (("--epochs", 5), "--epochs 5: the saved run has --epochs 4; leave the option out"),
        (("--model", "cnn"), "has --model mlp"),
        (("--lr", 1), "has --lr 0.003"),
        (("--seed", 1), "has --seed 0"),
        (("--batch-size", 32), "has --batch-size 16"),
        (("--data", tmp_path), f"has --data {small}"),
    ):
        assert message in refused(capsys, tmp_path, "--resume", *options)
    saved = torch.load(state)

    def changed(**parts):
        file = io.BytesIO()
        torch.save({**saved, "parts": {**saved["parts"], **parts}}, file)
        return file.getvalue()

    other = {name.replace("1.bias", "9.bias"): t for name, t in saved["parts"]["model"].items()}
    for content, message in (
        (b"", "damaged"),
        (whole[:200], "damaged"),
        (whole[:-1], "damaged"),
        (whole.replace(b"order", b"ordre"), "damaged"),
        (changed(more=1), "not a state of this demo"),
        (changed(model=other), "not a state of this demo"),
        (
            changed(options={**saved["parts"]["options"], "model": "abc"}),
            "not a state of this demo",
        ),
        (changed(options=None), "not a state of this demo"),
        (changed(fingerprint=0), "have changed"),
        (changed(tally=print), "damaged"),
    ):
        state.write_bytes(content)
        assert message in refused(capsys, tmp_path, "--resume")
    assert state.read_bytes() == content and len(list(tmp_path.iterdir())) == 1  # untouched


def test_changed_data(tmp_path, small, capsys, signals):
    folder, out = tmp_path / "data", tmp_path / "out"
    folder.mkdir()
    for name, content in contents(small).items():
        (folder / name).write_bytes(content)
    signals(1)
    assert demo(out, "--data", folder) == 130
    labels = folder / "train-labels-idx1-ubyte"
    labels.write_bytes(labels.read_bytes()[:-1] + b"\0")
    assert "have changed" in refused(capsys, out, "--resume")


def test_diverging(tmp_path, small, capsys):
    message = refused(capsys, tmp_path / "out", "--data", small, "--lr", 1e30)
    assert "--lr 1e+30 is too large" in message
    assert not list((tmp_path / "out").iterdir())


def test_write_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    checkpoint.write(path, b"old")

    def refuse(*arguments):
        raise PermissionError(13, "used by another process")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(DemoError, match="file cannot be written: used by another process"):
        checkpoint.write(path, b"new")
    assert contents(tmp_path) == {"file": b"old"}


def test_terminal_shows_a_bar(tmp_path, small, unpainted, monkeypatch, capsys):
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", terminal)
    assert demo(tmp_path, "--data", small, "--epochs", 2) == 0
    shown = terminal.getvalue()
    for part in ("epoch 2/2 |###", " images/s", " left, ", "loss 2.", "accuracy "):
        assert part in shown
    assert "epoch 1/2" not in capsys.readouterr().out


def test_pictures_of_odd_results():
    history = [{"train_loss": 0.0, "test_loss": 2.0, "train_accuracy": 1.0, "test_accuracy": 0.0}]
    assert pictures.curves(history).startswith(PNG)
    for classes in (1, 3, 40):
        assert pictures.confusion(torch.eye(classes, dtype=torch.int64)).startswith(PNG)


def test_help(capsys):
    for arguments in (["--help"], ["demo", "--help"]):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 0
    shown = capsys.readouterr().out
    for option in ("epochs", "seed", "model", "lr", "batch-size", "out", "data", "resume"):
        assert f"--{option}" in shown
