"""Train the small language model that ships with accelsim: a byte-level Llama on one CPU thread.

    python train.py [--steps N] [--stop-after N] [--out FOLDER]

A tool, not a part of the package: it needs torch, safetensors and nothing else. The model is the one that the
neighbouring `config.json` describes, under the names of Hugging Face's Llama: RMSNorm, rotary positions in the
half-split layout, grouped-query attention, SwiGLU, an output layer of its own. It reads `text/train.txt` for training
and `text/calibration.txt` to print its progress; `text/heldout.txt` is never opened. Every random number comes from
`SEED`; the number of steps fixes the schedule, so that the same machine and torch give the same weights again.
"""

import argparse
import json
import math
import time
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

HERE = Path(__file__).resolve().parent
SEED = 20_240_607
WINDOW = 256  # bytes per training sequence
BATCH = 16  # sequences per step
PEAK_LEARNING_RATE = 3e-3
WARM_UP_STEPS = 150
AVERAGE_DECAY = 0.995  # of the running mean of the weights, which is what is stored


class RmsNorm(nn.Module):
    """Divide by the root mean square over the last axis, then scale each channel."""

    def __init__(self, width: int, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.epsilon = epsilon

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.rms_norm(x, (x.shape[-1],), self.weight, self.epsilon)


class Attention(nn.Module):
    """Causal grouped-query attention with rotary positions."""

    def __init__(self, config: dict) -> None:
        super().__init__()
        width, self.heads, self.kv_heads = (
            config[key] for key in ("hidden_size", "num_attention_heads", "num_key_value_heads")
        )
        self.head_dim = width // self.heads
        self.q_proj = nn.Linear(width, width, bias=False)
        self.k_proj = nn.Linear(width, self.kv_heads * self.head_dim, bias=False)
        self.v_proj = nn.Linear(width, self.kv_heads * self.head_dim, bias=False)
        self.o_proj = nn.Linear(width, width, bias=False)

    def forward(self, x: torch.Tensor, cosine: torch.Tensor, sine: torch.Tensor) -> torch.Tensor:
        batch, length, width = x.shape
        q, k, v = (
            project(x).view(batch, length, -1, self.head_dim).transpose(1, 2)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        q, k = rotate(q, cosine, sine), rotate(k, cosine, sine)
        groups = self.heads // self.kv_heads
        k, v = k.repeat_interleave(groups, dim=1), v.repeat_interleave(groups, dim=1)
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.o_proj(mixed.transpose(1, 2).reshape(batch, length, width))


def rotate(x: torch.Tensor, cosine: torch.Tensor, sine: torch.Tensor) -> torch.Tensor:
    """Rotate the pairs (i, i + head_dim / 2) of each head by its position's angles."""
    first, second = x.chunk(2, dim=-1)
    return x * cosine + torch.cat((-second, first), dim=-1) * sine


class FeedForward(nn.Module):
    """SwiGLU: down(silu(gate(x)) * up(x))."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(width, inner, bias=False)
        self.up_proj = nn.Linear(width, inner, bias=False)
        self.down_proj = nn.Linear(inner, width, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.down_proj(functional.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    """Attention and feed-forward, each behind its norm and on the residual stream."""

    def __init__(self, config: dict) -> None:
        super().__init__()
        width, epsilon = config["hidden_size"], config["rms_norm_eps"]
        self.input_layernorm = RmsNorm(width, epsilon)
        self.self_attn = Attention(config)
        self.post_attention_layernorm = RmsNorm(width, epsilon)
        self.mlp = FeedForward(width, config["intermediate_size"])

    def forward(self, x: torch.Tensor, cosine: torch.Tensor, sine: torch.Tensor) -> torch.Tensor:
        x = x + self.self_attn(self.input_layernorm(x), cosine, sine)
        return x + self.mlp(self.post_attention_layernorm(x))


class Llama(nn.Module):
    """The whole model; the module tree gives the tensors their Hugging Face names."""

    def __init__(self, config: dict) -> None:
        super().__init__()
        width, vocabulary = config["hidden_size"], config["vocab_size"]
        self.model = nn.Module()
        self.model.embed_tokens = nn.Embedding(vocabulary, width)
        self.model.layers = nn.ModuleList(Layer(config) for _ in range(config["num_hidden_layers"]))
        self.model.norm = RmsNorm(width, config["rms_norm_eps"])
        self.lm_head = nn.Linear(width, vocabulary, bias=False)
        head_dim = width // config["num_attention_heads"]
        frequency = config["rope_theta"] ** -(torch.arange(0, head_dim, 2) / head_dim)
        angle = torch.outer(torch.arange(config["max_position_embeddings"]).float(), frequency).repeat(1, 2)
        self.register_buffer("cosine", angle.cos(), persistent=False)
        self.register_buffer("sine", angle.sin(), persistent=False)
        depth = config["num_hidden_layers"]
        for name, weight in self.named_parameters():
            if weight.dim() == 2:  # the layers that write to the residual stream start smaller, as in GPT-2
                deviation = 0.02 / math.sqrt(2 * depth) if "o_proj" in name or "down_proj" in name else 0.02
                nn.init.normal_(weight, std=deviation)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        length = tokens.shape[1]
        x = self.model.embed_tokens(tokens)
        for layer in self.model.layers:
            x = layer(x, self.cosine[:length], self.sine[:length])
        return self.lm_head(self.model.norm(x))


def loss_of(model: Llama, windows: torch.Tensor) -> torch.Tensor:
    """Mean cross entropy, in nats, of every byte but the first of each window."""
    logits = model(windows[:, :-1])
    return functional.cross_entropy(logits.reshape(-1, logits.shape[-1]), windows[:, 1:].reshape(-1))


def bits_per_byte(model: Llama, text: torch.Tensor) -> float:
    """Mean bits per byte over text cut into windows that do not overlap."""
    count = (len(text) - 1) // WINDOW
    windows = torch.stack([text[i * WINDOW : (i + 1) * WINDOW + 1] for i in range(count)])
    with torch.no_grad():
        losses = [loss_of(model, batch).item() * len(batch) for batch in windows.split(32)]
    return sum(losses) / count / math.log(2)


def learning_rate(step: int, steps: int) -> float:
    """Linear warm-up, then a cosine down to a hundredth of the peak."""
    if step < WARM_UP_STEPS:
        return PEAK_LEARNING_RATE * (step + 1) / WARM_UP_STEPS
    progress = (step - WARM_UP_STEPS) / max(steps - WARM_UP_STEPS, 1)
    return PEAK_LEARNING_RATE * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress)))


def store(model: Llama, out: Path) -> None:
    """Write the weights in bf16, complete or not at all."""
    unfinished = out / "model.safetensors.unfinished"
    save_file({name: weight.bfloat16().contiguous() for name, weight in model.state_dict().items()}, unfinished)
    unfinished.rename(out / "model.safetensors")


def main() -> None:
    """Train for a stated number of steps, printing and storing as it goes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=5000, help="that the learning rate is scheduled for")
    parser.add_argument("--stop-after", type=int, default=2500, help="steps that are run of them")
    parser.add_argument("--out", type=Path, default=HERE)
    parser.add_argument("--store-every", type=int, default=250)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)

    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    config = json.loads((HERE / "config.json").read_text())
    text, calibration = (
        torch.frombuffer(bytearray((HERE / "text" / name).read_bytes()), dtype=torch.uint8).long()
        for name in ("train.txt", "calibration.txt")
    )
    model = Llama(config)
    averaged = torch.optim.swa_utils.AveragedModel(
        model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(AVERAGE_DECAY)
    )
    matrices = [weight for weight in model.parameters() if weight.dim() == 2]
    gains = [weight for weight in model.parameters() if weight.dim() == 1]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": gains, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=PEAK_LEARNING_RATE, betas=(0.9, 0.98))
    print(f"{sum(weight.numel() for weight in model.parameters()):,} parameters", flush=True)
    began = time.monotonic()
    last = min(options.steps, options.stop_after)
    for step in range(last):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, options.steps)
        start = torch.randint(len(text) - WINDOW, (BATCH,))
        windows = torch.stack([text[at : at + WINDOW + 1] for at in start])
        loss = loss_of(model, windows)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        averaged.update_parameters(model)
        if (step + 1) % options.store_every == 0 or step + 1 == last:
            store(averaged.module, options.out)
            print(
                f"step {step + 1}: training {loss.item() / math.log(2):.3f} bits per byte, "
                f"calibration {bits_per_byte(averaged.module, calibration):.3f}, "
                f"{time.monotonic() - began:.0f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
