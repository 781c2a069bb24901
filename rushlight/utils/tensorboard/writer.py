"""SummaryWriter: write event files for TensorBoard; values may be tensors."""

import os
import socket
import time
from datetime import datetime
from typing import Any

from rushlight.tensor import Tensor
from rushlight.utils.tensorboard import images, summary
from rushlight.utils.tensorboard.embedding import write_embedding
from rushlight.utils.tensorboard.hparams import hparams
from rushlight.utils.tensorboard.records import EventFile, event
from rushlight.utils.tensorboard.wire import integer, message, sized

__all__ = ["FileWriter", "SummaryWriter"]

_START = 1  # of a session


class FileWriter:
    """Writes summaries to an event file.

    Args:
        log_dir: The folder.
        max_queue: The number of events that may wait before they are written.
        flush_secs: The number of seconds that events may wait before they are written.
        filename_suffix: The ending of the file's name.

    >>> import tempfile
    >>> from rushlight.utils.tensorboard import FileWriter, summary
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     writer = FileWriter(folder)
    ...     writer.add_summary(summary.scalar("loss", 0.5), 1)
    ...     writer.close()
    """

    def __init__(self, log_dir, max_queue=10, flush_secs=120, filename_suffix=""):
        self._log_dir = str(log_dir)
        self.event_writer = EventFile(self._log_dir, max_queue, flush_secs, filename_suffix)

    def get_logdir(self):
        """Return the folder."""
        return self._log_dir

    def add_event(self, event, step=None, walltime=None):
        """Write an encoded field of an event at a step."""
        self._write(event, step, walltime)

    def add_summary(self, summary, global_step=None, walltime=None):
        """Write a summary, which is encoded or has ``SerializeToString``."""
        self._write(sized(5, summary.SerializeToString()), global_step, walltime)

    def add_graph(self, graph_profile, walltime=None):
        """Write an encoded graph, the first of ``graph_profile``."""
        self._write(sized(4, graph_profile[0].SerializeToString()), None, walltime)

    def add_onnx_graph(self, graph, walltime=None):
        """Write an encoded graph."""
        self._write(sized(4, graph.SerializeToString()), None, walltime)

    def _write(self, field, step, walltime):
        self.event_writer.write(event(field, step, walltime))

    def flush(self):
        """Write the events that wait."""
        self.event_writer.flush()

    def close(self):
        """Write the events that wait."""
        self.event_writer.close()

    def reopen(self):
        """Do nothing: a closed writer writes again by itself."""


class SummaryWriter:
    """Writes event files to a folder, for TensorBoard to show.

    Args:
        log_dir: The folder. None makes a folder under ``runs``, named by time and machine.
        comment: The ending of the folder's name if ``log_dir`` is None.
        purge_step: TensorBoard hides the events written earlier for this step and later steps.
        max_queue: The number of events that may wait before they are written.
        flush_secs: The number of seconds that events may wait before they are written.
        filename_suffix: The ending of the files' names.

    >>> import tempfile
    >>> import rushlight as torch
    >>> from rushlight.utils.tensorboard import SummaryWriter
    >>> with tempfile.TemporaryDirectory() as folder, SummaryWriter(folder) as writer:
    ...     writer.add_scalar("loss", torch.tensor(0.5), 1)
    """

    def __init__(
        self, log_dir=None, comment="", purge_step=None, max_queue=10, flush_secs=120,
        filename_suffix="",
    ):  # fmt: skip
        if not log_dir:
            now = datetime.now().strftime("%b%d_%H-%M-%S")
            log_dir = os.path.join("runs", f"{now}_{socket.gethostname()}{comment}")
        self.log_dir = str(log_dir)
        self.purge_step = purge_step
        self.max_queue = max_queue
        self.flush_secs = flush_secs
        self.filename_suffix = filename_suffix
        self.file_writer: Any = None
        self.all_writers: Any = None
        self._get_file_writer()
        self.default_bins = summary.default_bins()

    def _get_file_writer(self):
        if self.all_writers is None or self.file_writer is None:
            self.file_writer = self._open(self.log_dir)
            self.all_writers = {self.log_dir: self.file_writer}
            if self.purge_step is not None:
                start = sized(7, message(integer(1, _START)))
                for field in (sized(3, "brain.Event:2"), start):
                    self.file_writer.add_event(field, self.purge_step)
                self.purge_step = None
        return self.file_writer

    def _open(self, folder):
        return FileWriter(folder, self.max_queue, self.flush_secs, self.filename_suffix)

    def _add(self, made, step=None, walltime=None):
        self._get_file_writer().add_summary(made, step, walltime)

    def get_logdir(self):
        """Return the folder."""
        return self.log_dir

    def add_hparams(
        self, hparam_dict, metric_dict, hparam_domain_discrete=None, run_name=None, global_step=None
    ):
        """Write the hyper-parameters of a run and the metrics that it reached."""
        found = hparams(hparam_dict, metric_dict, hparam_domain_discrete)
        run_name = run_name or str(time.time())
        with SummaryWriter(os.path.join(self.log_dir, run_name)) as writer:
            for made in found:
                writer._add(made)
            for name, value in metric_dict.items():
                writer.add_scalar(name, value, global_step)

    def add_scalar(
        self, tag, scalar_value, global_step=None, walltime=None, new_style=False,
        double_precision=False,
    ):  # fmt: skip
        """Write a number at a step."""
        made = summary.scalar(
            tag, scalar_value, new_style=new_style, double_precision=double_precision
        )
        self._add(made, global_step, walltime)

    def add_scalars(self, main_tag, tag_scalar_dict, global_step=None, walltime=None):
        """Write several numbers of one picture, each to a folder of its own."""
        self._get_file_writer()
        for name, value in tag_scalar_dict.items():
            folder = f"{self.log_dir}/{main_tag.replace('/', '_')}_{name}"
            if folder not in self.all_writers:
                self.all_writers[folder] = self._open(folder)
            made = summary.scalar(main_tag, value)
            self.all_writers[folder].add_summary(made, global_step, walltime)

    def add_tensor(self, tag, tensor, global_step=None, walltime=None):
        """Write a tensor with all its elements."""
        self._add(summary.tensor_proto(tag, tensor), global_step, walltime)

    def add_histogram(
        self, tag, values, global_step=None, bins="tensorflow", walltime=None, max_bins=None
    ):
        """Write how often values lie between the edges ``bins``, or between NumPy's for a name."""
        if isinstance(bins, str) and bins == "tensorflow":
            bins = self.default_bins
        self._add(summary.histogram(tag, values, bins, max_bins), global_step, walltime)

    def add_histogram_raw(
        self, tag, min, max, num, sum, sum_squares, bucket_limits, bucket_counts,
        global_step=None, walltime=None,
    ):  # fmt: skip
        """Write a histogram of given counts."""
        made = summary.histogram_raw(
            tag, min, max, num, sum, sum_squares, bucket_limits, bucket_counts
        )
        self._add(made, global_step, walltime)

    def add_image(self, tag, img_tensor, global_step=None, walltime=None, dataformats="CHW"):
        """Write an image: uint8, or floats from 0 to 1."""
        self._add(summary.image(tag, img_tensor, 1, dataformats), global_step, walltime)

    def add_images(self, tag, img_tensor, global_step=None, walltime=None, dataformats="NCHW"):
        """Write a batch of images as a grid."""
        self._add(summary.image(tag, img_tensor, 1, dataformats), global_step, walltime)

    def add_image_with_boxes(
        self, tag, img_tensor, box_tensor, global_step=None, walltime=None, rescale=1,
        dataformats="CHW", labels=None,
    ):  # fmt: skip
        """Write an image with rectangles ``(x0, y0, x1, y1)``, and a label for each."""
        if isinstance(labels, str):
            labels = [labels]
        if labels is not None and len(labels) != len(box_tensor):
            labels = None
        made = summary.image_boxes(tag, img_tensor, box_tensor, rescale, dataformats, labels)
        self._add(made, global_step, walltime)

    def add_figure(self, tag, figure, global_step=None, close=True, walltime=None):
        """Write a figure of Matplotlib, or a list of figures as a grid."""
        pixels = images.figure_image(figure, close)
        self.add_image(tag, pixels, global_step, walltime, "NCHW"[4 - pixels.ndim :])

    def add_video(self, tag, vid_tensor, global_step=None, fps=4, walltime=None):
        """Write clips ``(N, T, C, H, W)`` as a picture that moves."""
        self._add(summary.video(tag, vid_tensor, fps), global_step, walltime)

    def add_audio(self, tag, snd_tensor, global_step=None, sample_rate=44100, walltime=None):
        """Write a sound ``(1, L)`` of numbers in [-1, 1]."""
        self._add(summary.audio(tag, snd_tensor, sample_rate), global_step, walltime)

    def add_text(self, tag, text_string, global_step=None, walltime=None):
        """Write a text, which may be Markdown."""
        self._add(summary.text(tag, text_string), global_step, walltime)

    def add_onnx_graph(self, prototxt):
        """Raise: a graph in a file of ONNX is not read.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError(
            "SummaryWriter.add_onnx_graph: files of ONNX are not read; add_graph takes the model"
        )

    def add_graph(self, model, input_to_model=None, verbose=False, use_strict_trace=True):
        """Write the graph of a model's operations on an example input.

        ``input_to_model`` is a tensor, or a tuple of the model's arguments.

        Raises:
            ValueError: there is no example.
        """
        from rushlight.export import export

        if input_to_model is None:
            raise ValueError("SummaryWriter.add_graph: give an example as input_to_model")
        single = isinstance(input_to_model, (Tensor, dict))
        args = (input_to_model,) if single else tuple(input_to_model)
        graph = export(model, args).graph
        if verbose:
            print(graph)
        nodes = [sized(1, _node(n)) for n in graph.nodes]
        definition = message(*nodes, sized(4, message(integer(1, 22))))
        self._get_file_writer().add_onnx_graph(definition)  # this method writes any graph

    def add_embedding(
        self, mat, metadata=None, label_img=None, global_step=None, tag="default",
        metadata_header=None,
    ):  # fmt: skip
        """Write points ``(N, D)`` with their labels and images, for the projector."""
        write_embedding(
            self.log_dir, mat, metadata, label_img, global_step or 0, tag, metadata_header
        )

    def add_pr_curve(
        self, tag, labels, predictions, global_step=None, num_thresholds=127, weights=None,
        walltime=None,
    ):  # fmt: skip
        """Write precision and recall for thresholds, from labels and predictions."""
        made = summary.pr_curve(tag, labels, predictions, num_thresholds, weights)
        self._add(made, global_step, walltime)

    def add_pr_curve_raw(
        self, tag, true_positive_counts, false_positive_counts, true_negative_counts,
        false_negative_counts, precision, recall, global_step=None, num_thresholds=127,
        weights=None, walltime=None,
    ):  # fmt: skip
        """Write precision and recall for thresholds, from counts."""
        made = summary.pr_curve_raw(
            tag, true_positive_counts, false_positive_counts, true_negative_counts,
            false_negative_counts, precision, recall, num_thresholds, weights,
        )  # fmt: skip
        self._add(made, global_step, walltime)

    def add_custom_scalars_multilinechart(self, tags, category="default", title="untitled"):
        """Let TensorBoard show scalars of several tags in one picture."""
        self.add_custom_scalars({category: {title: ["Multiline", tags]}})

    def add_custom_scalars_marginchart(self, tags, category="default", title="untitled"):
        """Let TensorBoard show a scalar between two others."""
        if len(tags) != 3:
            raise AssertionError("a margin chart takes three tags: value, lower and upper")
        self.add_custom_scalars({category: {title: ["Margin", tags]}})

    def add_custom_scalars(self, layout):
        """Write which pictures TensorBoard shows: ``{category: {title: [kind, tags]}}``."""
        self._add(summary.custom_scalars(layout))

    def add_mesh(
        self, tag, vertices, colors=None, faces=None, config_dict=None, global_step=None,
        walltime=None,
    ):  # fmt: skip
        """Write points in space ``(N, P, 3)``, with colours and faces."""
        made = summary.mesh(tag, vertices, colors, faces, config_dict)
        self._add(made, global_step, walltime)

    def flush(self):
        """Write the events that wait."""
        for writer in (self.all_writers or {}).values():
            writer.flush()

    def close(self):
        """Write the events that wait; the next event opens another file."""
        for writer in (self.all_writers or {}).values():
            writer.close()
        self.file_writer = self.all_writers = None

    def __enter__(self):
        return self

    def __exit__(self, exc_type, exc_val, exc_tb):
        self.close()


def _node(node):
    """The encoded node of a graph, with the shapes of its results."""
    inputs = [sized(3, n.name) for n in node.all_input_nodes]
    values = node.meta.get("val")
    values = values if isinstance(values, tuple) else (values,)
    shapes = [sized(7, _sizes(v.shape)) for v in values if hasattr(v, "shape")]
    entry = message(sized(1, "_output_shapes"), sized(2, message(sized(1, message(*shapes)))))
    attributes = sized(5, entry) if shapes else None
    return message(sized(1, node.name), sized(2, node.label), *inputs, attributes)


def _sizes(shape):
    return message(*[sized(2, message(integer(1, n if isinstance(n, int) else -1))) for n in shape])
