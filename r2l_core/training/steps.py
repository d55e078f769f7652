"""Training steps of one network: forward, backward and the optimisers', captured on a GPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

from r2l_core.engines.cuda.device import Device, cuda_device
from r2l_core.errors import EngineUnavailable
from r2l_core.model.encoding import RayCoordinates, encode
from r2l_core.model.module import R2LNetwork
from r2l_core.training.muon import BatchedMuon
from r2l_core.training.sampling import RayBatch
from r2l_core.training.stacked import StackedNetwork

_WARM_UPS = 3
"""Steps before capturing: optimisers make their state in the first, libraries allocate."""


def training_device(name: str) -> Device | None:
    """The GPU to train on, or None for the processor: "auto" takes a GPU where torch sees one.

    Raises EngineUnavailable for "cuda" where there is none.
    """
    if name == "cpu":
        return None
    if torch.cuda.is_available():
        return cuda_device()
    if name == "cuda":
        raise EngineUnavailable(
            "--device cuda cannot be used", "torch finds no CUDA device", "Choose --device cpu."
        )
    return None


class Optimizers:
    """Muon for the body's matrices, Adam for everything else. Learning rates are tensors, so that a
    captured step goes by the present ones."""

    def __init__(
        self,
        network: R2LNetwork,
        muon_lr: float,
        adam_lr: float,
        weight_decay: float,
        dtype: torch.dtype = torch.bfloat16,
    ) -> None:
        """dtype: in which Muon iterates."""
        body = [p for p in network.body.parameters() if p.ndim == 2]
        matrices = {id(p) for p in body}
        rest = [p for p in network.parameters() if id(p) not in matrices]
        device = rest[0].device
        self.both: tuple[torch.optim.Optimizer, torch.optim.Optimizer] = (
            BatchedMuon(body, lr=muon_lr, weight_decay=weight_decay, dtype=dtype),
            torch.optim.Adam(
                rest, lr=adam_lr, betas=(0.9, 0.99), fused=True, capturable=device.type == "cuda"
            ),
        )
        self._peaks = (muon_lr, adam_lr)
        self._rates = [torch.tensor(peak, device=device) for peak in self._peaks]
        for optimizer, rate in zip(self.both, self._rates, strict=True):
            optimizer.param_groups[0]["lr"] = rate

    def set_rate(self, scale: float) -> None:
        """Learning rates as a share of their peaks."""
        for rate, peak in zip(self._rates, self._peaks, strict=True):
            rate.fill_(peak * scale)

    def step(self) -> None:
        """Change the weights by their gradients."""
        for optimizer in self.both:
            optimizer.step()

    def take_over(self, other: Optimizers) -> None:
        """Go on with what `other` knows about the parameters they share."""
        for mine, theirs in zip(self.both, other.both, strict=True):
            mine.state.update(theirs.state)

    def state(self) -> list[dict[str, Any]]:
        """For `load_state`. Of the learning rates, the peaks."""
        states = [optimizer.state_dict() for optimizer in self.both]
        for state, peak in zip(states, self._peaks, strict=True):
            state["param_groups"][0]["lr"] = peak
        return states

    def load_state(self, states: list[dict[str, Any]]) -> None:
        """Go on from `state`, on whichever device it was made.

        Raises KeyError, TypeError or ValueError where it belongs to other parameters.
        """
        for optimizer, state in zip(self.both, states, strict=True):
            # How steps are made here, and not as it was there.
            own = [
                {k: v for k, v in group.items() if k != "params"}
                for group in optimizer.param_groups
            ]
            optimizer.load_state_dict(state)
            for group, settings in zip(optimizer.param_groups, own, strict=True):
                group.update(settings)
            for parameter, values in optimizer.state.items():
                if "step" in values:
                    values["step"] = values["step"].to(parameter.device, torch.float32)


class TrainingSteps:
    """Steps of one network and its optimisers, on the processor or, with `device`, captured there.

    A network that has grown needs new ones. On a GPU, call it with `device` working. Rays go
    through a copy of the network in `dtype`, which in bfloat16 is faster than to have every
    operation cast what it needs; the float32 weights are the ones that learn, and are what is kept.
    """

    def __init__(
        self,
        network: R2LNetwork,
        optimizers: Optimizers,
        coordinates: RayCoordinates,
        n_frequencies: int,
        device: Device | None,
        dtype: torch.dtype = torch.bfloat16,
    ) -> None:
        self._optimizers = optimizers
        self._coordinates = coordinates
        self._n_frequencies = n_frequencies
        self._device = device
        self._place = next(network.parameters()).device
        self._loss = torch.zeros((), device=self._place)
        self._steps = 0
        self._batch: RayBatch | None = None
        self._replay: Callable[[], None] | None = None
        self._warm_ups = 0
        self._dtype = dtype
        self._network = StackedNetwork(network, dtype)

    def step(self, batch: RayBatch) -> None:
        """Learn from `batch`. On a GPU this returns before it is done."""
        self._steps += 1
        if self._device is None:
            self._run(batch)
            return
        held = self._held(batch)
        if self._warm_ups < _WARM_UPS:
            self._warm_ups += 1
            self._run(held)
            return
        if self._replay is None:
            self._replay = self._device.captured(lambda: self._run(held), warm_ups=0)
        self._replay()

    def mean_loss(self) -> float:
        """Mean of the squared error over the steps since it was last asked; waits for them."""
        mean = float(self._loss) / max(self._steps, 1)
        self._loss.zero_()
        self._steps = 0
        return mean

    def _held(self, batch: RayBatch) -> RayBatch:
        """The batch in the memory that the captured step reads."""
        if self._batch is None or self._batch.colors.shape != batch.colors.shape:
            self._replay, self._warm_ups = None, 0
            self._batch = RayBatch(
                batch.origins.clone(), batch.directions.clone(), batch.colors.clone()
            )
        else:
            self._batch.origins.copy_(batch.origins)
            self._batch.directions.copy_(batch.directions)
            self._batch.colors.copy_(batch.colors)
        return self._batch

    def _run(self, batch: RayBatch) -> None:
        features = encode(self._coordinates(batch.origins, batch.directions), self._n_frequencies)
        # In a graph as well: a captured backward pass then writes its gradients, and adds nothing.
        self._network.forget()
        predicted = self._network.forward(features.to(self._dtype))
        loss = functional.mse_loss(predicted.float(), batch.colors)
        loss.backward()  # type: ignore[no-untyped-call]
        with torch.no_grad():
            self._network.collect()
            self._optimizers.step()
            self._network.refresh()
        self._loss += loss.detach()
