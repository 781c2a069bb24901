"""The pictures of a run, each as the bytes of a PNG file."""

import io

import numpy as np
from matplotlib import style
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator, PercentFormatter

__all__ = ["confusion", "curves", "predictions"]

STYLE: list = [
    "default",  # whatever the user's own settings are
    {
        "font.size": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.color": "#e6e6e6",
        "axes.axisbelow": True,
        "axes.titlelocation": "left",
    },
]
BLUE, ORANGE, RED, GRAY = "#1f6fb4", "#e07b00", "#c8102e", "#555555"
CURVES = (("train", "training (with dropout)", BLUE), ("test", "test", ORANGE))
DPI = 150
LEAST_LOSS = 1e-9  # so that a loss of 0 has a place on the scale
ROWS, COLUMNS = 6, 10
MOST_WRONG = 30  # images in the picture of predictions, so that right ones are left to be seen
MOST_NUMBERED = 20  # classes, beyond which numbers no longer fit into the confusion matrix


def curves(history):
    """Loss and accuracy in training and test, epoch by epoch."""
    with style.context(STYLE):
        figure = Figure(figsize=(10, 4), layout="constrained")
        left, right = figure.subplots(1, 2)
        _curve(left, history, "loss")
        left.set_title("Loss (cross entropy)")
        _logarithmic(left)
        _curve(right, history, "accuracy")
        right.set_title(f"Accuracy; test at the end: {history[-1]['test_accuracy']:.2%}")
        right.yaxis.set_major_formatter(PercentFormatter(1.0))
        right.legend(frameon=False)
        return _png(figure)


def _curve(axes, history, quantity):
    epochs = range(1, len(history) + 1)
    marker = "o" if len(history) == 1 else None
    for part, label, color in CURVES:
        values = [row[f"{part}_{quantity}"] for row in history]
        axes.plot(epochs, values, color=color, label=label, marker=marker, linewidth=2)
    axes.set_xlabel("epoch")
    axes.set_xlim(0.5, len(history) + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10], min_n_ticks=1))


def _logarithmic(axes):
    """A logarithmic scale with plain numbers, wide enough to hold some of them."""
    values = [max(value, LEAST_LOSS) for line in axes.lines for value in line.get_ydata()]
    axes.set_yscale("log")
    axes.set_ylim(min(values) / 1.5, max(values) * 1.5)
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_locator(NullLocator())


def predictions(part, logits):
    """Test images with what the network says, the wrong ones first and framed in red.

    Args:
        part: The test images (N, 1, H, W) and labels (N,).
        logits: What the network says, (N, classes).
    """
    chances = logits.softmax(1).numpy()
    labels, said = part.labels.numpy(), chances.argmax(1)
    sureness = chances.max(1)
    wrong = np.flatnonzero(said != labels)
    wrong = wrong[np.argsort(-sureness[wrong], kind="stable")]
    shown = wrong[:MOST_WRONG]
    right = np.flatnonzero(said == labels)[: ROWS * COLUMNS - len(shown)]
    with style.context(STYLE):
        figure = Figure(figsize=(COLUMNS * 1.1, ROWS * 1.35 + 0.5), layout="constrained")
        which = "all" if len(shown) == len(wrong) else f"the {len(shown)} surest"
        figure.suptitle(
            f"{len(wrong):,} of {len(labels):,} test images are labelled wrongly"
            + (f" ({which} in red)" if len(wrong) else ""),
            fontsize=13,
        )
        grid = figure.subplots(ROWS, COLUMNS).ravel()
        for axes in grid:
            axes.set_axis_off()
        for axes, index in zip(grid, [*shown, *right], strict=False):
            image = part.images[int(index), 0].numpy()
            _prediction(axes, image, labels[index], said[index], sureness[index])
        return _png(figure)


def _prediction(axes, image, label, said, sureness):
    axes.set_axis_on()
    axes.grid(False)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.imshow(image, cmap="gray_r", vmin=0, vmax=1)
    wrong = said != label
    text = f"{said}, is {label}" if wrong else f"{said}"
    axes.set_title(text, color=RED if wrong else GRAY, fontsize=10, loc="center", pad=3)
    for spine in axes.spines.values():
        spine.set(visible=True, color=RED if wrong else "#cccccc", linewidth=2.5 if wrong else 0.8)


def confusion(matrix):
    """How often each label was taken for each: right answers in blue, mistakes in red.

    Args:
        matrix: Counts, (classes, classes), a row for each label.
    """
    counts = matrix.numpy()
    classes = len(counts)
    parts = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    mistakes = np.where(np.eye(classes, dtype=bool) | (counts == 0), np.nan, parts)
    worst = np.nanmax(mistakes, initial=0)
    hits = np.where(np.eye(classes, dtype=bool), parts, np.nan)
    with style.context(STYLE):
        figure = Figure(figsize=(7, 7), layout="constrained")
        axes = figure.subplots()
        axes.grid(False)
        axes.imshow(hits, cmap="Blues", vmin=0, vmax=2)
        axes.imshow(mistakes, cmap="Reds", vmin=-0.05, vmax=max(0.3, 1.4 * worst))
        if classes <= MOST_NUMBERED:
            _number(axes, counts)
        axes.set_title(f"Confusion: {np.trace(counts):,} of {counts.sum():,} right", pad=12)
        axes.set_xlabel("predicted label")
        axes.set_ylabel("true label")
        axes.spines[:].set_visible(True)
        axes.tick_params(length=0)
        return _png(figure)


def _number(axes, counts):
    classes = len(counts)
    axes.set_xticks(range(classes))
    axes.set_yticks(range(classes))
    axes.hlines(np.arange(1, classes) - 0.5, -0.5, classes - 0.5, color="#e6e6e6", linewidth=0.8)
    axes.vlines(np.arange(1, classes) - 0.5, -0.5, classes - 0.5, color="#e6e6e6", linewidth=0.8)
    size = 11 if counts.max() < 1000 else 8
    for row, column in zip(*np.nonzero(counts), strict=True):
        axes.text(column, row, f"{counts[row, column]}", ha="center", va="center", fontsize=size)


def _png(figure):
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=DPI)
    return content.getvalue()
