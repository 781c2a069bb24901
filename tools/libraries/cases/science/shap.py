"""SHAP values of small networks by DeepExplainer, GradientExplainer and two others."""

requires = ["shap", "scikit-learn"]


def run():
    """Return named numbers or texts, which PyTorch's run is compared with."""
    import numpy as np
    import shap
    import torch
    from sklearn.datasets import load_iris
    from torch import nn

    data = load_iris()
    x = torch.tensor((data.data - data.data.mean(0)) / data.data.std(0), dtype=torch.float32)
    y = torch.tensor(data.target)
    net = nn.Sequential(
        nn.Linear(4, 16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 8), nn.Tanh(), nn.Linear(8, 3)
    )
    optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    net.eval()
    background, samples = x[::10], x[3:150:30]
    results = {"losses": losses[::5]}
    deep = shap.DeepExplainer(net, background)
    results["deep"] = [deep.shap_values(samples), deep.expected_value]
    results["gradient"] = shap.GradientExplainer(net, background).shap_values(
        samples, nsamples=40, rseed=1
    )
    results["layer"] = shap.GradientExplainer((net, net[3]), background).shap_values(
        samples, nsamples=20, rseed=1
    )

    image = nn.Sequential(
        nn.Conv2d(1, 3, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(27, 2),
        nn.Softmax(dim=1),
    ).eval()
    pictures = torch.randn(8, 1, 8, 8)
    deep = shap.DeepExplainer(image, pictures[:6])
    results["image"] = deep.shap_values(pictures[6:])

    def predict(rows):
        with torch.no_grad():
            return net(torch.tensor(rows, dtype=torch.float32)).softmax(-1).numpy()

    np.random.seed(0)
    kernel = shap.KernelExplainer(predict, background.numpy()[:6])
    results["kernel"] = kernel.shap_values(samples.numpy()[:2], nsamples=60, silent=True)
    sampler = shap.PermutationExplainer(predict, background.numpy()[:6], seed=0)
    results["permutation"] = sampler(samples.numpy()[:2], silent=True).values
    return results


tolerance = 1e-3  # values are differences of predictions, which are close to each other
