"""A quantum circuit simulated in PyTorch is trained, alone and as a layer of a network."""

requires = ["pennylane"]


def run():
    """Return named numbers or texts, which PyTorch's run is compared with."""
    import pennylane as qml
    import torch

    device = qml.device("default.qubit", wires=3)

    @qml.qnode(device, interface="torch", diff_method="backprop")
    def circuit(weights, x):
        qml.AngleEmbedding(x, wires=range(3))
        qml.StronglyEntanglingLayers(weights, wires=range(3))
        return [qml.expval(qml.PauliZ(i)) for i in range(3)]

    weights = (0.3 * torch.randn(2, 3, 3, dtype=torch.float64)).requires_grad_()
    x = torch.tensor([0.1, 0.4, -0.3], dtype=torch.float64)
    optimizer = torch.optim.Adam([weights], lr=0.1)
    losses = []
    for _ in range(6):
        optimizer.zero_grad()
        loss = (torch.stack(circuit(weights, x)) - torch.tensor([1.0, -1.0, 0.0])).square().sum()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    results = {"trained": losses, "weights": weights}

    @qml.qnode(device, interface="torch", diff_method="parameter-shift")
    def shifted(a, b):
        qml.RX(a, wires=0)
        qml.RY(b, wires=1)
        qml.CNOT(wires=[0, 1])
        return qml.expval(qml.PauliX(0) @ qml.PauliY(1)), qml.probs(wires=[0, 1])

    a, b = torch.tensor(0.3, requires_grad=True), torch.tensor(-0.7, requires_grad=True)
    value, probabilities = shifted(a, b)
    (value + probabilities[0]).backward()
    results["shifted"] = [value, probabilities, a.grad, b.grad]

    @qml.qnode(device, interface="torch")
    def state(angle):
        qml.Hadamard(0)
        qml.CRX(angle, wires=[0, 1])
        return qml.state()

    results["state"] = state(torch.tensor(0.4))
    results["jacobian"] = torch.autograd.functional.jacobian(
        lambda w: torch.stack(circuit(w, x)), weights
    )

    @qml.qnode(device, interface="torch")
    def layer(inputs, weights):
        qml.AngleEmbedding(inputs, wires=range(2))
        qml.BasicEntanglerLayers(weights, wires=range(2))
        return [qml.expval(qml.PauliZ(i)) for i in range(2)]

    net = torch.nn.Sequential(
        torch.nn.Linear(4, 2), qml.qnn.TorchLayer(layer, {"weights": (2, 2)}), torch.nn.Linear(2, 1)
    )
    batch, optimizer, losses = torch.randn(5, 4), torch.optim.SGD(net.parameters(), lr=0.1), []
    for _ in range(3):
        optimizer.zero_grad()
        loss = (net(batch) - 1).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    results["layer"] = losses
    return results
