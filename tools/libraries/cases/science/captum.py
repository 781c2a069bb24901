"""Attributions of small networks by gradients, DeepLift, occlusion, GradCAM and Shapley values."""

requires = ["captum"]


def run():
    """Return named numbers or texts, which PyTorch's run is compared with."""
    import numpy as np
    import torch
    from captum.attr import (
        LRP,
        Deconvolution,
        DeepLift,
        DeepLiftShap,
        FeatureAblation,
        FeaturePermutation,
        GradientShap,
        GuidedBackprop,
        GuidedGradCam,
        InputXGradient,
        IntegratedGradients,
        KernelShap,
        LayerActivation,
        LayerConductance,
        LayerGradCam,
        LayerIntegratedGradients,
        NeuronGradient,
        NoiseTunnel,
        Occlusion,
        Saliency,
        ShapleyValueSampling,
    )
    from captum.metrics import infidelity, sensitivity_max
    from torch import nn

    net = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 6, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(96, 12),
        nn.ReLU(),
        nn.Linear(12, 3),
    ).eval()
    x, zero, target = torch.randn(3, 1, 8, 8), torch.zeros(3, 1, 8, 8), torch.tensor([0, 1, 2])
    results = {}
    np.random.seed(0)  # GradientShap draws with NumPy
    for method in (Saliency, InputXGradient, GuidedBackprop, Deconvolution):
        results[method.__name__] = method(net).attribute(x.clone().requires_grad_(), target=target)
    results["integrated"] = IntegratedGradients(net).attribute(x, zero, target=target, n_steps=12)
    results["DeepLift"] = DeepLift(net).attribute(x, zero, target=target)
    results["DeepLiftShap"] = DeepLiftShap(net).attribute(x, torch.randn(4, 1, 8, 8), target=target)
    results["GradientShap"] = GradientShap(net).attribute(
        x, torch.randn(4, 1, 8, 8), target=target, n_samples=4
    )
    results["tunnel"] = NoiseTunnel(Saliency(net)).attribute(
        x, nt_samples=4, nt_type="smoothgrad_sq", target=target
    )
    results["occlusion"] = Occlusion(net).attribute(x, (1, 3, 3), strides=(1, 2, 2), target=target)
    results["GuidedGradCam"] = GuidedGradCam(net, net[3]).attribute(x, target=target)
    results["GradCam"] = LayerGradCam(net, net[3]).attribute(x, target=target)
    results["activation"] = LayerActivation(net, net[6]).attribute(x)
    results["conductance"] = LayerConductance(net, net[6]).attribute(
        x, zero, target=target, n_steps=8
    )
    results["layer"] = LayerIntegratedGradients(net, net[0]).attribute(
        x, zero, target=target, n_steps=8
    )
    results["neuron"] = NeuronGradient(net, net[6]).attribute(
        x.clone().requires_grad_(), neuron_selector=3
    )

    table = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 2))
    rows = torch.randn(4, 5)
    results["LRP"] = LRP(table).attribute(rows, target=1)
    results["ablation"] = FeatureAblation(table).attribute(rows, target=1)
    results["permutation"] = FeaturePermutation(table).attribute(rows, target=1)
    results["sampling"] = ShapleyValueSampling(table).attribute(rows, target=1, n_samples=6)
    results["kernel"] = KernelShap(table).attribute(rows[:1], target=1, n_samples=40)
    saliency = Saliency(table)
    results["sensitivity"] = sensitivity_max(
        saliency.attribute, rows, target=1, n_perturb_samples=3
    )

    def perturb(inputs):
        noise = 0.01 * torch.randn_like(inputs)
        return noise, inputs - noise

    results["infidelity"] = infidelity(
        table, perturb, rows, saliency.attribute(rows, target=1), target=1, n_perturb_samples=4
    )
    return results


# KernelShap's regression is nearly singular, and DeepLift divides by differences of activations.
tolerance = 1e-3
