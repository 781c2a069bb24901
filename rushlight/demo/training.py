"""Training that can stop after any step and go on later with the same numbers."""

import math
from dataclasses import asdict, dataclass

import rushlight as torch
from rushlight.demo.models import build
from rushlight.demo.options import DemoError, Options
from rushlight.nn import functional as F
from rushlight.utils.training_state import TrainingState

__all__ = ["Training", "evaluate"]

EVALUATION_BATCH = 512


@dataclass
class Tally:
    """Loss and hits over the images seen so far in an epoch."""

    loss: float = 0.0
    hits: int = 0
    seen: int = 0

    def add(self, loss, logits, labels):
        """Count one batch; ``loss`` is its mean."""
        self.loss += loss * len(labels)
        self.hits += int((logits.argmax(1) == labels).sum())
        self.seen += len(labels)

    @property
    def mean_loss(self):
        """Loss per image."""
        return self.loss / self.seen

    @property
    def accuracy(self):
        """The fraction of images that were labelled correctly, from 0 to 1."""
        return self.hits / self.seen


class Training:
    """A run between two steps: the network, the optimizer, and the position in the data.

    The position is the number of finished epochs (the length of ``history``), the batch within the
    epoch, and the order of the images in this epoch. The next step depends only on these and on the
    state of the random generator.
    """

    def __init__(self, options, data):
        torch.manual_seed(options.seed)
        self.options = options
        self.data = data
        self.model = build(options.model, data.size, data.classes).to(_found(options.device))
        self.batches = math.ceil(len(data.train) / options.batch_size)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=options.lr)
        self.scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(
            self.optimizer, T_max=options.epochs * self.batches
        )
        self.history = []
        self.batch = 0
        self.order = torch.arange(len(data.train))
        self.tally = Tally()

    @property
    def finished(self):
        """Whether every epoch is done."""
        return len(self.history) >= self.options.epochs

    @property
    def images_done(self):
        """Training images seen so far, over all epochs."""
        begun = self.tally.seen if self.batch else 0
        return len(self.history) * len(self.data.train) + begun

    def step(self):
        """Learn from the next batch; after the last one of an epoch, test the network too.

        Raises:
            DemoError: The loss is no longer a finite number.
        """
        if self.batch == 0:
            self.order = torch.randperm(len(self.data.train))
            self.tally = Tally()
        start = self.batch * self.options.batch_size
        chosen = self.order[start : start + self.options.batch_size]
        device = self.options.device
        images = self.data.train.images[chosen].to(device)
        labels = self.data.train.labels[chosen].to(device)
        logits = self.model(images)
        loss = F.cross_entropy(logits, labels)
        self._check(loss.item())
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.scheduler.step()
        self.tally.add(loss.item(), logits, labels)
        self.batch += 1
        if self.batch == self.batches:
            self._end_epoch()

    def state(self):
        """Everything that the rest of the run depends on, as a TrainingState."""
        return TrainingState(
            model=self.model,
            optimizer=self.optimizer,
            scheduler=self.scheduler,
            options=asdict(self.options),
            fingerprint=self.data.fingerprint,
            history=self.history,
            batch=self.batch,
            order=self.order,
            tally=asdict(self.tally),
        )

    def restore(self, saved):
        """Go back to a state that was saved from ``state()``.

        Raises:
            DemoError: The data are not those of the saved run.
            KeyError, RuntimeError, TypeError, ValueError: The state is not one of this run.
        """
        if saved["parts"]["fingerprint"] != self.data.fingerprint:
            raise DemoError(f"the data in {self.data.name} have changed since the run was saved")
        state = self.state()
        state.load_state_dict(saved)
        self.history, self.batch, self.order = state.history, state.batch, state.order
        self.tally = Tally(**state.tally)

    @staticmethod
    def saved_options(saved):
        """The options within a saved state."""
        return Options(**saved["parts"]["options"])

    def _check(self, loss):
        if not math.isfinite(loss):
            raise DemoError(
                f"the loss became {loss} in epoch {len(self.history) + 1}; "
                f"--lr {self.options.lr} is too large"
            )

    def _end_epoch(self):
        _, test = evaluate(self.model, self.data.test, self.options.device)
        self._check(test.mean_loss)
        self.history.append({
            "train_loss": self.tally.mean_loss,
            "train_accuracy": self.tally.accuracy,
            "test_loss": test.mean_loss,
            "test_accuracy": test.accuracy,
        })  # fmt: skip
        self.batch = 0


def _found(device):
    """The device of a name.

    Raises:
        DemoError: There is no such device.
    """
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError) as error:
        raise DemoError(f"--device {device}: {error}") from error


def evaluate(model, part, device):
    """The logits (N, classes) of all images in evaluation mode, on the CPU, and their tally."""
    tally, logits = Tally(), []
    model.eval()
    with torch.no_grad():
        for images, labels in zip(part.images.split(EVALUATION_BATCH),
                                  part.labels.split(EVALUATION_BATCH), strict=True):  # fmt: skip
            logits.append(model(images.to(device)).cpu())
            tally.add(F.cross_entropy(logits[-1], labels).item(), logits[-1], labels)
    model.train()
    return torch.cat(logits), tally
