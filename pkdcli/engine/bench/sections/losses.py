"""Section `losses`: each loss, forward and backward, against mmrazor's module or the textbook formula."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.nn import functional as F

from pkdcli import compat
from pkdcli.engine.bench.measure import Section, extra_memory, interleaved
from pkdcli.engine.losses import blocks, build_loss

SHAPES = ((2, 256, 100, 168), (2, 256, 50, 84), (2, 256, 25, 42), (2, 256, 13, 21))
"""P3 to P6 of two images of 1333x800 pixels."""

TEMPERATURE = 50.0
REACH = {"pkd": 8.0, "norm-kl": 4.0}
MEMORY = 0.1  # of the peer's
Loss = Callable[[Tensor, Tensor], Tensor]


def normalized(x: Tensor) -> Tensor:
    """(N, C, H, W) -> (C, N*H*W) with mean 0 and deviation 1, as plain PyTorch writes it."""
    rows = x.transpose(0, 1).flatten(1)
    return (rows - rows.mean(1, keepdim=True)) / (rows.std(1, keepdim=True) + 1e-6)


def plain_kl(student: Tensor, teacher: Tensor) -> Tensor:
    """T^2 KL(softmax(z_t / T) || softmax(z_s / T)), mean over channels, as plain PyTorch writes it.

    Args:
        student: (N, C, H, W).
        teacher: (N, C, H, W).
    """
    ours, theirs = (F.log_softmax(normalized(x) / TEMPERATURE, dim=1) for x in (student, teacher))
    return TEMPERATURE**2 * F.kl_div(ours, theirs, reduction="batchmean", log_target=True)


def peers() -> dict[str, tuple[str, Loss]]:
    """What each loss is held against, by its name: a title and the function."""
    compat.activate()
    from mmrazor.models.losses import PKDLoss

    return {
        "pkd": ("mmrazor's PKDLoss", PKDLoss()),
        "mse": ("F.mse_loss", F.mse_loss),
        "norm-mse": ("the plain formula", lambda s, t: F.mse_loss(normalized(s), normalized(t))),
        "norm-kl": ("the plain formula", plain_kl),
    }


def losses(
    repeat: int, shapes: Sequence[tuple[int, int, int, int]] = SHAPES, warmup: int = 1, offset: float = 0.0
) -> Section:
    """Time the losses over all levels of some shapes.

    Args:
        repeat: Rounds.
        shapes: (N, C, H, W) of the levels.
        warmup: Rounds that do not count.
        offset: Added to the feature maps, in standard deviations.
    """
    levels = "{}x{} at {}".format(*shapes[0][:2], ", ".join(f"{h}x{w}" for _, _, h, w in shapes))
    section = Section("losses", f"Losses, forward and backward over {len(shapes)} levels, {levels}")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    generator = torch.Generator().manual_seed(0)
    draw = [torch.randn(shape, generator=generator).to(device) for shape in shapes for _ in range(2)]
    # As correlated as a student's features are with its teacher's after some training.
    teachers = draw[::2]
    students = [(0.6 * t + 0.8 * n + offset).requires_grad_() for t, n in zip(teachers, draw[1::2], strict=True)]
    for name, (title, peer) in peers().items():
        options = {"temperature": TEMPERATURE} if name == "norm-kl" else {}
        ours = build_loss(name, **options)
        pieces = {name: _both_ways(ours, students, teachers), f"{name}: {title}": _both_ways(peer, students, teachers)}
        if name == "pkd":
            pieces["pkd: shifted moments only"] = _shifted(pieces[name])
        samples = interleaved(pieces, repeat, warmup)
        section.time(samples)
        section.ratio(f"{name}: times faster", [f"{name}: {title}"], [name], at_least=REACH.get(name))
        if name == "pkd":
            section.ratio("pkd, shifted moments only: times faster", [f"{name}: {title}"], [list(pieces)[2]])
        memory = [extra_memory(piece) for piece in list(pieces.values())[:2]]
        gradients = sum(s.numel() * s.element_size() for s in students) / 2**20
        section.number(f"{name}: extra peak memory", memory[0], "MiB")
        section.number(f"{name}: extra peak memory of {title}", memory[1], "MiB")
        beyond = [value - gradients for value in memory]
        bound = MEMORY if name in REACH else None
        section.number(f"{name}: memory beyond the gradient, share", beyond[0] / beyond[1], "", at_most=bound)
    section.notes.append("Extra memory includes the student's gradient, which every formula has to return.")
    return section


def _both_ways(loss: Loss, students: Sequence[Tensor], teachers: Sequence[Tensor]) -> Callable[[], None]:
    def run() -> None:
        for student in students:
            student.grad = None
        sum(loss(student, teacher) for student, teacher in zip(students, teachers, strict=True)).backward()
        for student in students:
            student.grad = None

    return run


def _shifted(piece: Callable[[], None]) -> Callable[[], None]:
    def run() -> None:
        with only_shifted():
            piece()

    return run


@contextmanager
def only_shifted() -> Iterator[None]:
    """Take every moment from maps less their means, as where the raw ones would not be exact enough."""
    before, blocks.RAW = blocks.RAW, False
    try:
        yield
    finally:
        blocks.RAW = before
