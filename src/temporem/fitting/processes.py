"""Several processes that make one fit: each does its share of the frames, and what they find is summed.

Every process runs the same program on the same input with the same seeds. They differ only where frames are
summed over: there each takes its share, and all go on with the same sum, to the last bit.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as group
from jaxtyping import Shaped
from torch import Tensor, nn

from temporem.model.batches import MovieBatch

__all__ = ["ALONE", "ProcessLostError", "Processes"]


class ProcessLostError(Exception):
    """Another process does not answer."""


@dataclass(frozen=True)
class Processes:
    """This process among those of torch's process group; alone, it does everything, and nothing is sent.

    All must call its methods in the same order; those that send raise ProcessLostError where another
    process has ended.
    """

    rank: int = 0
    count: int = 1
    device: torch.device | None = None
    """What this one computes on, and from where it sends; None alone, where nobody has chosen yet."""

    @property
    def first(self) -> bool:
        """Whether this is the process that writes the run and speaks to people."""
        return self.rank == 0

    def share(self, rows: Shaped[Tensor, "rows ..."]) -> Shaped[Tensor, "share ..."]:
        """This process's part of rows: one in `count` of them, and perhaps none."""
        return rows[self.rank :: self.count]

    def share_of(self, batch: MovieBatch) -> MovieBatch:
        """This process's part of the movies of a batch, padded as all of them; perhaps none."""
        return batch if self.count == 1 else batch.only(self.share(torch.arange(len(batch.mask))))

    def whole(self, part: Shaped[Tensor, "share ..."], rows: int) -> Shaped[Tensor, "{rows} ..."]:
        """What each process has found of its share of so many rows, put together in their order."""
        if self.count == 1:
            return part
        together = part.new_zeros((rows, *part.shape[1:]))
        together[self.rank :: self.count] = part
        return self.summed(together)

    def summed(self, part: Shaped[Tensor, "..."]) -> Shaped[Tensor, "..."]:
        """The sum over all processes; the tensor given may be overwritten. Not differentiable."""
        if self.count == 1:
            return part
        sent = part.to(self.device).contiguous()
        with _answered():
            group.all_reduce(torch.view_as_real(sent) if sent.is_complex() else sent)
        return sent.to(part.device)

    def sum_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Sum each parameter's gradient over all processes, in one message; a missing one counts as zero."""
        if self.count == 1:
            return
        held = list(parameters)
        gradients = [torch.zeros_like(x) if x.grad is None else x.grad for x in held]
        total = self.summed(torch.cat([gradient.flatten() for gradient in gradients]))
        parts = torch.split(total, [x.numel() for x in held])
        for parameter, part in zip(held, parts, strict=True):
            parameter.grad = part.view_as(parameter)

    def of_first(self, value: Shaped[Tensor, "..."]) -> Shaped[Tensor, "..."]:
        """The first process's: for what each has computed, but another machine might round otherwise."""
        if self.count == 1:
            return value
        sent = value.to(self.device).contiguous().clone()
        with _answered():
            group.broadcast(sent, 0)
        return sent.to(value.device)

    @torch.no_grad()
    def align(self, model: nn.Module) -> None:
        """Give a model the first process's parameters."""
        for parameter in model.parameters():
            parameter.copy_(self.of_first(parameter))

    def wait(self) -> None:
        """Until all processes are here."""
        self.summed(torch.zeros(1))


ALONE = Processes()


@contextmanager
def _answered() -> Iterator[None]:
    """Raise ProcessLostError where a message inside the block does not get through."""
    try:
        yield
    except RuntimeError as error:
        # Torch says no more than that, in the words of whatever carries the messages.
        raise ProcessLostError("another of the processes has stopped, and none can go on alone") from error
