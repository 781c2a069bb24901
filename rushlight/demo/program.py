"""The run as a whole: data, training, results, proof."""

import time
from contextlib import contextmanager, suppress

import rushlight as torch
from rushlight.demo import checkpoint, data, results
from rushlight.demo.options import DemoError, chosen
from rushlight.demo.progress import progress
from rushlight.demo.stopping import Stopping
from rushlight.demo.training import Training

__all__ = ["STATE", "run"]

STATE = "state.pt"
SECONDS_BETWEEN_SAVES = 10


def run(given, out, resume):
    """Train, save, report and prove; returns the exit code of the command.

    Args:
        given: The options that the user gave, by name.
        out: Path of the folder for everything that is written.
        resume: Whether to go on from the state in that folder.

    Raises:
        DemoError: Something that the user can set right.
    """
    with Stopping() as stopping, _one_thread():
        training = _resumed(given, out) if resume else _begun(given)
        checkpoint.prepare(out)
        _introduce(training)
        _train(training, out, stopping)
        if not stopping.signal:
            results.write(training, out, stopping)
        if stopping.signal:
            _say_how_to_go_on(training, out)
    return stopping.exit_code


@contextmanager
def _one_thread():
    """Use one thread in the ``with`` block.

    The demo's small matrix products gain nothing from more threads, and their last digits would
    depend on the number of threads.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _begun(given):
    options = chosen(given, None)
    return Training(options, data.load(options.data))


def _resumed(given, out):
    path = out / STATE
    with suppress(PermissionError):  # load_state raises the error that the user sees
        if not path.exists():
            raise DemoError(f"--resume: {out} holds no saved run ({STATE} is not there)")
    saved = checkpoint.load_state(path)
    try:
        options = chosen(given, Training.saved_options(saved))
        training = Training(options, data.load(options.data))
        training.restore(saved)
    except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise DemoError(f"{path} is not a state of this demo: {error!r}") from error
    return training


def _introduce(training):
    options, images = training.options, training.data
    height, width = images.size
    weights = sum(parameter.numel() for parameter in training.model.parameters())
    print(
        f"{images.name}: {len(images.train):,} training and {len(images.test):,} test images "
        f"of {height} x {width}, {images.classes} classes\n"
        f"{options.model}: {weights:,} parameters; {options.epochs} epochs of {training.batches:,} "
        f"batches of {options.batch_size}, learning rate {options.lr:g}, seed {options.seed}",
        flush=True,
    )


def _train(training, out, stopping):
    """Train until the end or a signal; save the state then, and also during long runs."""
    saved_at = time.monotonic()
    with progress(training) as shown:
        while not (training.finished or stopping.signal):
            training.step()
            shown.update()
            if time.monotonic() - saved_at > SECONDS_BETWEEN_SAVES:
                checkpoint.save_state(out / STATE, training.state())
                saved_at = time.monotonic()
    checkpoint.save_state(out / STATE, training.state())


def _say_how_to_go_on(training, out):
    print(
        f"stopped after epoch {len(training.history)} of {training.options.epochs}, "
        f"batch {training.batch} of {training.batches}; the state is saved: "
        f"rushlight demo --resume --out {out}",
        flush=True,
    )
