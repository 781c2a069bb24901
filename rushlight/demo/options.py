"""The choices that determine a run, and the error for those that cannot be followed."""

from dataclasses import dataclass, fields

__all__ = ["DemoError", "Options", "chosen"]


class DemoError(Exception):
    """An error that the user can correct. It is reported in one line, with exit code 2."""


@dataclass(frozen=True)
class Options:
    """The options that determine the numbers of a run. They are saved with the run.

    Attributes:
        model: Name of a network in ``rushlight.demo.models``.
        epochs: How many times every training image is seen.
        batch_size: Images in each step of the optimizer.
        lr: Learning rate at the start; it falls to zero along half a cosine.
        seed: Seed of the weights, the dropout and the order of the images.
        data: Absolute path of a folder of IDX files, or None for the digits in the package.
        device: The name of the device that computes.
    """

    model: str = "mlp"
    epochs: int = 20
    batch_size: int = 32
    lr: float = 0.003
    seed: int = 0
    data: str | None = None
    device: str = "cpu"


def chosen(given, saved):
    """Return the options of a run: the given values, else the saved run's, else the defaults.

    Args:
        given: Values by name, None where the user gave none.
        saved: The options of the run to go on with, or None for a new run.

    Raises:
        DemoError: A given option differs from the saved run's.

    >>> from rushlight.demo.options import Options, chosen
    >>> chosen({"epochs": 3, "lr": None}, None).epochs, chosen({}, Options(seed=5)).seed
    (3, 5)
    """
    given = {name: value for name, value in given.items() if value is not None}
    if saved is None:
        return Options(**given)
    for field in fields(Options):
        value, before = given.get(field.name), getattr(saved, field.name)
        if value not in (None, before):
            option = "--" + field.name.replace("_", "-")
            had = f"no {option}" if before is None else f"{option} {before}"
            raise DemoError(
                f"{option} {value}: the saved run has {had}; leave the option out, "
                f"or start anew without --resume"
            )
    return saved
