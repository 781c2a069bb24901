"""ONNX models, which are made here, become modules by torch.fx; they predict and learn."""

requires = ["onnx2torch", "onnx"]


def run():
    """Return named numbers or texts, which PyTorch's run is compared with."""
    import numpy as np
    import torch
    from onnx import TensorProto, helper, numpy_helper
    from onnx2torch import convert

    draw = np.random.default_rng(0)

    def model(nodes, shape, out, weights=(), opset=13):
        weights = [numpy_helper.from_array(value, name) for name, value in dict(weights).items()]
        inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)]
        outputs = [helper.make_tensor_value_info(out, TensorProto.FLOAT, None)]
        graph = helper.make_graph(nodes, "graph", inputs, outputs, weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])

    def array(*shape):
        return draw.standard_normal(shape).astype(np.float32) * 0.3

    node = helper.make_node
    image = model(
        [
            node("Conv", ["x", "w", "b"], ["c"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
            node("BatchNormalization", ["c", "g", "h", "m", "v"], ["n"]),
            node("Relu", ["n"], ["r"]),
            node("MaxPool", ["r"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
            node("GlobalAveragePool", ["p"], ["a"]),
            node("Flatten", ["a"], ["f"]),
            node("Gemm", ["f", "k", "q"], ["y"], transB=1),
            node("Softmax", ["y"], ["z"], axis=-1),
        ],
        [None, 2, 8, 8],
        "z",
        {
            "w": array(4, 2, 3, 3),
            "b": array(4),
            "g": array(4),
            "h": array(4),
            "m": array(4),
            "v": np.ones(4, np.float32),
            "k": array(3, 4),
            "q": array(3),
        },
    )
    attention = model(
        [
            node("MatMul", ["x", "wq"], ["q"]),
            node("MatMul", ["x", "wk"], ["k"]),
            node("Transpose", ["k"], ["t"], perm=[0, 2, 1]),
            node("MatMul", ["q", "t"], ["s"]),
            node("Div", ["s", "scale"], ["d"]),
            node("Softmax", ["d"], ["p"], axis=-1),
            node("MatMul", ["p", "x"], ["o"]),
            node("Add", ["o", "x"], ["e"]),
            node("LayerNormalization", ["e", "g", "h"], ["l"], axis=-1),
            node("Slice", ["l", "from", "to", "axes"], ["u"]),
            node("ReduceMean", ["u"], ["y"], axes=[1], keepdims=0),
            node("Erf", ["y"], ["z"]),
        ],
        [None, 5, 6],
        "z",
        {
            "wq": array(6, 6),
            "wk": array(6, 6),
            "scale": np.float32(2.4),
            "g": array(6),
            "h": array(6),
            "from": np.array([1]),
            "to": np.array([4]),
            "axes": np.array([1]),
        },
        opset=17,
    )
    results = {}
    for name, onnx, shape in (("image", image, (5, 2, 8, 8)), ("attention", attention, (5, 5, 6))):
        net = convert(onnx)
        x = torch.randn(shape)
        results[name] = [net.eval()(x), [n.op for n in net.graph.nodes], sorted(net.state_dict())]
        net.train()
        optimizer = torch.optim.SGD(
            [p for p in net.parameters() if p.requires_grad] or [torch.zeros(1)], lr=0.1
        )
        losses = []
        for _ in range(3):
            optimizer.zero_grad()
            loss = (net(x) - 0.5).square().mean()
            if loss.requires_grad:
                loss.backward()
            optimizer.step()
            losses.append(loss.item())
        results[name].append(losses)
    return results
