"""The tutorial's step in PyTorch, in the memory format that is fastest for it (channels_last).

bin/bench --make-peers      makes its environment
"""

import time

BEGAN = time.time()

import argparse  # noqa: E402
import contextlib  # noqa: E402
import sys  # noqa: E402
from pathlib import Path  # noqa: E402

sys.path.insert(0, str(Path(__file__).resolve().parent))
import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from torch import nn  # noqa: E402
from worker import serve  # noqa: E402

HALF, BATCH, LATENT, CLASSES = 50, 100, 100, 10


class Discriminator(nn.Module):
    def __init__(self):
        super().__init__()
        self.convs = nn.ModuleList([nn.Conv2d(c, 128, 3, 2, 1) for c in (1, 128, 128)])
        self.logits = nn.Linear(2048, CLASSES)

    def forward(self, x):
        for conv in self.convs:
            x = F.leaky_relu(conv(x), 0.2)
        return self.logits(F.dropout(x.flatten(1), 0.4)).float()


class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        self.dense = nn.Linear(LATENT, 7 * 7 * 128)
        self.up = nn.ModuleList([nn.ConvTranspose2d(128, 128, 4, 2, 1) for _ in range(2)])
        self.image = nn.Conv2d(128, 1, 7, 1, 3)

    def forward(self, z):
        x = F.leaky_relu(self.dense(z), 0.2).view(-1, 128, 7, 7).contiguous(memory_format=torch.channels_last)
        for up in self.up:
            x = F.leaky_relu(up(x), 0.2)
        return torch.tanh(self.image(x))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--precision", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()
    device = torch.device(args.device)
    torch.manual_seed(0)

    disc, gen = (net.to(device).to(memory_format=torch.channels_last) for net in (Discriminator(), Generator()))

    def adam(parameters):
        return torch.optim.Adam(parameters, 2e-4, betas=(0.5, 0.999), fused=True)

    opt_c, opt_d, opt_g = adam(disc.parameters()), adam(disc.parameters()), adam(gen.parameters())
    x = torch.rand(4000, 1, 28, 28, device=device) * 2 - 1  # the same work as on digits
    y = torch.randint(0, CLASSES, (4000,), device=device)
    half = args.precision == "bfloat16"

    def autocast():
        return torch.autocast(device.type, torch.bfloat16) if half else contextlib.nullcontext()

    def log_z(logits):
        return torch.logsumexp(logits, -1)

    def latents(n):
        return torch.randn(n, LATENT, device=device)

    def descend(loss, optimizer):
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def step():
        with autocast():
            i = torch.randint(0, 100, (HALF,), device=device)
            loss = F.cross_entropy(disc(x[i]), y[i])
        descend(loss, opt_c)
        with autocast():
            loss = F.softplus(-log_z(disc(x[torch.randint(0, len(x), (HALF,), device=device)]))).mean()
        descend(loss, opt_d)
        with autocast():
            with torch.no_grad():
                fake = gen(latents(HALF))
            loss = F.softplus(log_z(disc(fake.float()))).mean()
        descend(loss, opt_d)
        disc.requires_grad_(False)
        with autocast():
            loss = F.softplus(-log_z(disc(gen(latents(BATCH))))).mean()
        descend(loss, opt_g)
        disc.requires_grad_(True)
        if device.type == "cuda":
            torch.cuda.synchronize()

    name = f", {torch.cuda.get_device_name()}" if device.type == "cuda" else ""
    serve(f"torch {torch.__version__}{name}", step, BEGAN)


if __name__ == "__main__":
    main()
