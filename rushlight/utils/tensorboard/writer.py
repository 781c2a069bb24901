"""SummaryWriter: write event files for TensorBoard; values may be tensors."""

from functools import wraps
from typing import Any

from rushlight.tensor import Tensor

try:
    from tensorboardX import SummaryWriter as Base
    from tensorboardX.proto.graph_pb2 import GraphDef
    from tensorboardX.proto.summary_pb2 import Summary
    from tensorboardX.writer import FileWriter
except ImportError as error:
    raise ImportError(
        "torch.utils.tensorboard needs the package tensorboardX: pip install tensorboardX"
    ) from error

__all__ = ["FileWriter", "SummaryWriter"]


def _plain(value):
    """Replace the tensors in ``value`` by NumPy arrays, also inside lists, tuples and dicts."""
    if isinstance(value, Tensor):
        value = value.detach()
        return (
            value.float() if value.itemsize < 4 and value.is_floating_point() else value
        ).numpy()
    if isinstance(value, dict):
        return {key: _plain(v) for key, v in value.items()}
    if type(value) in (list, tuple):
        return type(value)([_plain(v) for v in value])
    return value


class SummaryWriter(Base):
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
        super().__init__(
            None if log_dir is None else str(log_dir), comment, purge_step, max_queue, flush_secs,
            filename_suffix,
        )  # fmt: skip

    @property
    def log_dir(self):
        """The folder."""
        return self.logdir

    @log_dir.setter
    def log_dir(self, value):
        self.logdir = value

    def add_scalar(
        self, tag, scalar_value, global_step=None, walltime=None, new_style=False,
        double_precision=False,
    ):  # fmt: skip
        """Write a number at a step."""
        super().add_scalar(tag, _plain(scalar_value), global_step, walltime)

    def add_hparams(
        self, hparam_dict, metric_dict, hparam_domain_discrete=None, run_name=None, global_step=None
    ):
        """Write the hyper-parameters of a run and the metrics that it reached."""
        super().add_hparams(_plain(hparam_dict), _plain(metric_dict), run_name, global_step)

    def add_tensor(self, tag, tensor, global_step=None, walltime=None):
        """Write a tensor with all its elements."""
        array = _plain(tensor)
        value = Summary.Value(tag=tag)
        value.metadata.plugin_data.plugin_name = "tensor"
        value.tensor.dtype = _DTYPES[array.dtype.name]
        for n in array.shape:
            value.tensor.tensor_shape.dim.add(size=n)
        value.tensor.tensor_content = array.tobytes()
        self._get_file_writer().add_summary(Summary(value=[value]), global_step, walltime)

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
        definition = GraphDef()
        definition.versions.producer = 22
        for node in graph.nodes:
            made = definition.node.add(name=node.name, op=node.label)
            made.input.extend([n.name for n in node.all_input_nodes])
            _describe(made.attr, node.meta.get("val"))
        self._get_file_writer().add_onnx_graph(definition)  # this method writes any graph


#: From a dtype's name to its number in TensorBoard's files.
_DTYPES = {
    "float32": 1, "float64": 2, "int32": 3, "uint8": 4, "int16": 5, "int8": 6, "complex64": 8,
    "int64": 9, "bool": 10, "complex128": 18,
}  # fmt: skip


def _describe(attributes, values):
    """Add the shapes of a node's results to its attributes."""
    for value in values if isinstance(values, tuple) else (values,):
        if hasattr(value, "shape"):
            shape = attributes["_output_shapes"].list.shape.add()
            for n in value.shape:
                shape.dim.add(size=n if isinstance(n, int) else -1)


def _with_arrays(name):
    """Wrap the method ``name`` of tensorboardX's writer so that it accepts tensors."""
    method = getattr(Base, name)

    @wraps(method)
    def add(self, *args, **kwargs):
        return method(self, *_plain(args), **_plain(kwargs))

    return add


_given: Any = vars(SummaryWriter).keys()
for _name in [n for n in dir(Base) if n.startswith("add_") and n not in _given]:
    setattr(SummaryWriter, _name, _with_arrays(_name))
