"""The step of `photos` in PyTorch, but for the augmentation, which it leaves out; channels last, Adam for all weights.

The same trunk as `sgan_jax/models/networks/residual.py`: 64 labelled and 160 unlabelled images, a teacher of averaged
weights, FreeMatch's thresholds. Labelled and unlabelled images go through the trunk together, which is faster here.

bin/bench --make-peers      makes its environment
"""

import time

BEGAN = time.time()

import argparse  # noqa: E402
import contextlib  # noqa: E402
import copy  # noqa: E402
import itertools  # noqa: E402
import math  # noqa: E402
import sys  # noqa: E402
from pathlib import Path  # noqa: E402

sys.path.insert(0, str(Path(__file__).resolve().parent))
import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from torch import nn  # noqa: E402
from worker import serve  # noqa: E402

LABELLED, UNLABELLED, CLASSES, WIDTH = 64, 160, 10, 32
DECAY = 0.995, 0.999  # of the averaged weights, and of the thresholds


class Normal(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.norm = nn.GroupNorm(math.gcd(8, channels), channels)

    def forward(self, x):
        return F.leaky_relu(self.norm(x), 0.2)


class Stage(nn.Module):
    def __init__(self, inputs, channels, strided):
        super().__init__()
        self.strided = strided
        self.conv = nn.Conv2d(inputs, channels, 3, 2 if strided else 1, 0 if strided else 1)
        self.normal = Normal(channels)
        self.inner = nn.Sequential(
            *(layer for _ in range(2) for layer in (nn.Conv2d(channels, channels, 3, 1, 1), Normal(channels)))
        )

    def forward(self, x):
        # SAME as TensorFlow has it: an even side is padded after the image only.
        x = self.conv(F.pad(x, (0, 1, 0, 1))) if self.strided else F.max_pool2d(self.conv(x), 2)
        x = self.normal(x)
        return x + self.inner(x)


class Trunk(nn.Module):
    def __init__(self, side, channels):
        super().__init__()
        halvings = max(3, math.ceil(math.log2(side / 6)))
        wide = [WIDTH, *(WIDTH * min(2**stage, 8) for stage in range(1, halvings + 1))]
        self.first = nn.Sequential(nn.Conv2d(channels, WIDTH, 3, 1, 1), Normal(WIDTH))
        self.stages = nn.Sequential(
            *(Stage(inputs, outputs, k == 0) for k, (inputs, outputs) in enumerate(itertools.pairwise(wide)))
        )
        self.logits = nn.Linear(wide[-1], CLASSES)

    def forward(self, x):
        return self.logits(self.stages(self.first(x)).mean(dim=(2, 3))).float()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--precision", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--shape", type=int, nargs=3, default=(32, 32, 3), metavar=("H", "W", "C"))
    parser.add_argument("--compile", action="store_true", help="compile the trunk, where there is a compiler")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()
    device = torch.device(args.device)
    torch.manual_seed(0)
    height, width, channels = args.shape

    net = Trunk(max(height, width), channels).to(device).to(memory_format=torch.channels_last)
    teacher = copy.deepcopy(net).requires_grad_(False)
    optimizer = torch.optim.Adam(net.parameters(), 1e-3, betas=(0.9, 0.99), fused=True)
    student, predict = (torch.compile(module) if args.compile else module for module in (net, teacher))
    images = torch.rand(4000, channels, height, width, device=device) * 2 - 1
    images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.randint(0, CLASSES, (4000,), device=device)
    confidence = torch.full((), 1 / CLASSES, device=device)
    marginal = torch.full((CLASSES,), 1 / CLASSES, device=device)
    half = args.precision == "bfloat16"

    def autocast():
        return torch.autocast(device.type, torch.bfloat16) if half else contextlib.nullcontext()

    def drawn(count):
        return torch.randint(0, len(images), (count,), device=device)

    def step():
        lab, unl = drawn(LABELLED), drawn(UNLABELLED)
        with torch.no_grad():
            with autocast():
                p = predict(images[unl]).softmax(1)
            sure, classes = p.max(1)
            confidence.lerp_(sure.mean(), 1 - DECAY[1])
            marginal.lerp_(p.mean(0), 1 - DECAY[1])
            counts = (sure >= (confidence * marginal / marginal.max())[classes]).float()
        with autocast():
            logits = student(images[torch.cat([lab, unl])])
        loss = F.cross_entropy(logits[:LABELLED], labels[lab])
        loss = loss + (counts * F.cross_entropy(logits[LABELLED:], classes, reduction="none")).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(list(teacher.parameters()), list(net.parameters()), 1 - DECAY[0])
        if device.type == "cuda":
            torch.cuda.synchronize()

    name = f", {torch.cuda.get_device_name()}" if device.type == "cuda" else ""
    serve(f"torch {torch.__version__}{name}", step, BEGAN)


if __name__ == "__main__":
    main()
