"""Show the progress of a training: a bar in a terminal, otherwise a line for each epoch."""

import shutil
import sys
import time

__all__ = ["progress"]

BAR = "{desc} |{bar}| {rate_noinv_fmt}, {remaining} left{postfix}"  # fits into 80 columns


def progress(training):
    """A context that shows a training as it goes; call its ``update`` after every step."""
    terminal = sys.stderr is not None and sys.stderr.isatty()
    return Bar(training) if terminal else Lines(training)


class Bar:
    """A progress bar with the loss and accuracy of the epoch, images per second and time left."""

    def __init__(self, training):
        from tqdm import tqdm  # type: ignore[import-untyped]

        # Given explicitly, because tqdm shows nothing if the terminal does not report its size.
        size = shutil.get_terminal_size()
        self.training = training
        self.epochs = training.options.epochs
        self.bar = tqdm(
            total=self.epochs * len(training.data.train),
            initial=training.images_done,
            unit=" images",
            unit_scale=True,
            bar_format=BAR,
            ncols=size.columns - 1,
            nrows=size.lines,
        )

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.bar.close()

    def update(self):
        """Show where the training is now."""
        tally = self.training.tally
        epoch = min(len(self.training.history) + 1, self.epochs)
        self.bar.set_description_str(f"epoch {epoch}/{self.epochs}", refresh=False)
        facts = f"loss {tally.mean_loss:.4f}, accuracy {tally.accuracy:.1%}"
        self.bar.set_postfix_str(facts, refresh=False)
        self.bar.update(self.training.images_done - self.bar.n)


class Lines:
    """The same facts as the bar, in a line for each epoch, for files and pipes."""

    def __init__(self, training):
        self.training = training
        self.begun_at = time.monotonic()
        self.images_before = training.images_done

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        pass

    def update(self):
        """Print a line if an epoch has just ended."""
        training = self.training
        if training.batch:
            return
        epochs, row = training.options.epochs, training.history[-1]
        elapsed = max(time.monotonic() - self.begun_at, 1e-9)
        rate = (training.images_done - self.images_before) / elapsed
        left = (epochs * len(training.data.train) - training.images_done) / rate
        print(
            f"epoch {len(training.history):{len(str(epochs))}}/{epochs}  "
            f"loss {row['train_loss']:.4f}  accuracy {row['train_accuracy']:6.1%}  "
            f"test loss {row['test_loss']:.4f}  test accuracy {row['test_accuracy']:6.1%}  "
            f"{rate:,.0f} images/s  {left:.0f} s left",
            flush=True,
        )
