"""Write the results of a finished run: the model, numbers and pictures; check the saved model."""

import csv
import io
import json
import os
from dataclasses import asdict

import rushlight as torch
from rushlight.demo import checkpoint
from rushlight.demo.models import build
from rushlight.demo.options import DemoError
from rushlight.demo.training import evaluate

__all__ = ["MODEL", "load_model", "write"]

MODEL = "model.safetensors"


def write(training, out, stopping):
    """Test the network, save it, check the saved file, and write the results.

    If a signal comes, the remaining results are not written.

    Raises:
        DemoError: A file cannot be written, or the saved model disagrees.
    """
    pictures = _pictures()
    test = training.data.test
    device = training.options.device
    logits, tally = evaluate(training.model, test, device)
    print(
        f"test accuracy {tally.accuracy:.2%} ({tally.hits:,} of {tally.seen:,} images)", flush=True
    )
    save_model(out / MODEL, training)
    _prove(out / MODEL, test, logits, device)
    matrix = confusion(test.labels, logits.argmax(1), training.data.classes)
    contents = {
        "results.json": lambda: _json(training, tally, matrix),
        "confusion.csv": lambda: _csv(matrix),
        "confusion.png": lambda: pictures.confusion(matrix),
        "curves.png": lambda: pictures.curves(training.history),
        "predictions.png": lambda: pictures.predictions(test, logits),
    }
    for name, content in contents.items():
        if stopping.signal:
            return
        checkpoint.write(out / name, content())
    print(f"in {out}: {', '.join(contents)}", flush=True)


def _pictures():
    """Import and return the module that draws. It is imported late, because matplotlib is slow.

    ``MPLBACKEND`` is hidden during the import, because matplotlib refuses to be imported if the
    variable names an unknown backend. The pictures need no window, and so no backend.
    """
    backend = os.environ.pop("MPLBACKEND", None)
    try:
        from rushlight.demo import pictures
    except Exception as error:
        raise DemoError(f"matplotlib cannot be imported: {error}") from error
    finally:
        if backend is not None:
            os.environ["MPLBACKEND"] = backend
    return pictures


def save_model(path, training):
    """Write the network of a training, with what is needed to build it again."""
    facts = {
        "model": training.options.model,
        "size": training.data.size,
        "classes": training.data.classes,
    }
    checkpoint.save_tensors(path, training.model.state_dict(), facts)


def load_model(path):
    """The network in a file that ``save_model`` wrote.

    Raises:
        DemoError: The file is missing, damaged, or something else.
    """
    tensors, facts = checkpoint.load_tensors(path)
    try:
        model = build(facts["model"], facts["size"], facts["classes"])
        model.load_state_dict(tensors)
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        raise DemoError(f"{path} does not hold a network of this demo: {error!r}") from error
    return model


def confusion(labels, predicted, classes):
    """How often each label (row) was taken for each (column): (N,), (N,) → (classes, classes)."""
    counts = torch.bincount(labels * classes + predicted, minlength=classes**2)
    return counts.reshape(classes, classes)


def _prove(path, test, logits, device):
    """Load the saved model into a new network and compare all its predictions."""
    again, _ = evaluate(load_model(path).to(device), test, device)
    if not torch.equal(again, logits):
        raise DemoError(f"{path}: the loaded model does not give the predictions it gave before")
    print(f"{path}: loaded again, it gives the same {len(test):,} predictions", flush=True)


def _json(training, tally, matrix):
    facts = {
        "options": asdict(training.options),
        "test_accuracy": tally.accuracy,
        "test_loss": tally.mean_loss,
        "confusion": matrix.tolist(),
        "history": training.history,
    }
    return (json.dumps(facts, indent=1) + "\n").encode()


def _csv(matrix):
    labels = range(len(matrix))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["true \\ predicted", *labels])
    writer.writerows([label, *row] for label, row in zip(labels, matrix.tolist(), strict=True))
    return text.getvalue().encode()
