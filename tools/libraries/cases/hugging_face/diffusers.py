"""Denoises with random small parts: a UNet is trained, 18 schedulers, a VAE, and four pipelines."""

requires = ["diffusers", "transformers"]

SCHEDULERS = [
    "DDPM",
    "DDIM",
    "PNDM",
    "LMSDiscrete",
    "EulerDiscrete",
    "EulerAncestralDiscrete",
    "HeunDiscrete",
    "KDPM2Discrete",
    "KDPM2AncestralDiscrete",
    "DPMSolverMultistep",
    "DPMSolverSinglestep",
    "DEISMultistep",
    "UniPCMultistep",
    "LCM",
    "TCD",
    "IPNDM",
    "FlowMatchEulerDiscrete",
    "EDMEuler",
]
DOWN, UP = ("DownBlock2D", "AttnDownBlock2D"), ("AttnUpBlock2D", "UpBlock2D")
WIDTHS = {"block_out_channels": (16, 32), "norm_num_groups": 8}


def denoised(scheduler):
    """What some steps of a scheduler make of noise; the model is a fixed function."""
    import inspect

    import torch

    generator = torch.Generator().manual_seed(5)
    scheduler.set_timesteps(5)
    x = torch.randn(1, 3, 8, 8, generator=generator) * getattr(scheduler, "init_noise_sigma", 1.0)
    draws = "generator" in inspect.signature(scheduler.step).parameters
    for t in scheduler.timesteps[:4]:
        scaled = scheduler.scale_model_input(x, t) if hasattr(scheduler, "scale_model_input") else x
        given = {"generator": generator} if draws else {}
        x = scheduler.step(torch.tanh(scaled) * 0.5, t, x, **given).prev_sample
    return x


def run():
    """Losses, steps of the schedulers, coded images, and images of the pipelines."""
    import tempfile

    import diffusers as d
    import torch
    import transformers

    def images(pipeline, **settings):
        pipeline.set_progress_bar_config(disable=True)
        generator = torch.Generator().manual_seed(0)
        return pipeline(
            generator=generator, num_inference_steps=3, output_type="np", **settings
        ).images

    unet = d.UNet2DModel(
        sample_size=16, layers_per_block=1, down_block_types=DOWN, up_block_types=UP,
        attention_head_dim=8, **WIDTHS,
    )  # fmt: skip
    scheduler = d.DDPMScheduler(num_train_timesteps=100)
    optimizer = torch.optim.AdamW(unet.parameters(), lr=1e-3)
    clean = torch.rand(4, 3, 16, 16)
    losses = []
    for _ in range(4):
        noise, t = torch.randn(clean.shape), torch.randint(0, 100, (4,))
        found = unet(scheduler.add_noise(clean, noise, t), t).sample
        loss = torch.nn.functional.mse_loss(found, noise)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    unet.eval()
    results = {"losses": losses, "DDPM's images": images(d.DDPMPipeline(unet, scheduler))}
    with tempfile.TemporaryDirectory() as folder:
        d.DDIMPipeline(unet, d.DDIMScheduler()).save_pretrained(folder)
        results["DDIM's images"] = images(d.DDIMPipeline.from_pretrained(folder))
    results["steps"] = {n: denoised(getattr(d, f"{n}Scheduler")()) for n in SCHEDULERS}

    vae = d.AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=4, **WIDTHS,
    )  # fmt: skip
    coded = vae.encode(clean).latent_dist
    again = vae.decode(coded.sample(torch.Generator().manual_seed(1))).sample
    ((again - clean).pow(2).mean() + 1e-3 * coded.kl().mean()).backward()
    results["VAE"] = [again, coded.mean, vae.encoder.conv_in.weight.grad]

    sizes = {"hidden_size": 32, "intermediate_size": 37, "num_hidden_layers": 2}
    config = transformers.CLIPTextConfig(
        vocab_size=99, num_attention_heads=4, max_position_embeddings=16, bos_token_id=97,
        eos_token_id=98, pad_token_id=1, **sizes,
    )  # fmt: skip
    encoder = transformers.CLIPTextModel(config).eval()
    with torch.no_grad():
        prompts = [encoder(torch.randint(3, 97, (1, 16)))[0] for _ in range(2)]
    conditional = d.UNet2DConditionModel(
        sample_size=8, layers_per_block=1, cross_attention_dim=32, attention_head_dim=8,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), **WIDTHS,
    )  # fmt: skip
    for kind in (d.PNDMScheduler(skip_prk_steps=True), d.EulerDiscreteScheduler()):
        pipeline = d.StableDiffusionPipeline(
            vae=vae, text_encoder=None, tokenizer=None, unet=conditional, scheduler=kind,
            safety_checker=None, feature_extractor=None, requires_safety_checker=False,
        )  # fmt: skip
        results[f"Stable Diffusion by {type(kind).__name__}"] = images(
            pipeline,
            prompt_embeds=prompts[0],
            negative_prompt_embeds=prompts[1],
            height=16,
            width=16,
        )
    return results
