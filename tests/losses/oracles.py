"""Structured losses written out for torch tensors, where PyTorch has none of its own."""

import torch
from torch import Tensor


def tversky(p: Tensor, t: Tensor, alpha: float, beta: float, smooth: float = 0.0) -> Tensor:
    """The index of each class from the pixels of one image, `[pixels, k]`; NaN where its denominator is 0."""
    hits = (p * t).sum(0)
    total = hits + alpha * (p.sum(0) - hits) + beta * (t.sum(0) - hits) + smooth
    return torch.where(total == 0, torch.nan, (hits + smooth) / torch.where(total == 0, 1, total))


def dice(p: Tensor, t: Tensor, smooth: float = 0.0) -> Tensor:
    """The Dice coefficient of each class by the sizes of both and of what they share."""
    return (2 * (p * t).sum(0) + smooth) / (p.sum(0) + t.sum(0) + smooth)


def ctc(logits: Tensor, logit_lengths: Tensor, labels: Tensor, label_lengths: Tensor, *, blank: int = 0) -> Tensor:
    log_p = logits.log_softmax(-1).transpose(0, 1)
    return torch.nn.functional.ctc_loss(log_p, labels, logit_lengths, label_lengths, blank=blank, reduction="none")


def cosines(x: Tensor) -> Tensor:
    """Cosine of each row with each."""
    unit = torch.nn.functional.normalize(x, dim=-1, eps=0)
    return unit @ unit.T


def nt_xent(a: Tensor, b: Tensor, temperature: float) -> Tensor:
    """One value per example, by a loop over all anchors."""
    n = len(a)
    similarity = (cosines(torch.cat([a, b])) / temperature).double()
    values = []
    for i in range(2 * n):
        others = [k for k in range(2 * n) if k != i]
        values.append(torch.logsumexp(similarity[i, others], 0) - similarity[i, (i + n) % (2 * n)])
    return torch.stack(values).reshape(2, n).mean(0)


def supervised_contrastive(x: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """One value per anchor, by a loop over all anchors; 0 of an anchor alone in its class."""
    n = len(x)
    similarity = cosines(x) / temperature
    values = []
    for i in range(n):
        others = [k for k in range(n) if k != i]
        positives = [k for k in others if labels[k] == labels[i]]
        log_p = similarity[i] - torch.logsumexp(similarity[i, others], 0)
        values.append(-log_p[positives].mean() if positives else 0 * x.sum())
    return torch.stack(values)
