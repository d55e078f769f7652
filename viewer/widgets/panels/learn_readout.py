"""What a learning should be like, and how it goes. Knows nothing of Qt."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from r2l_core.training.watching import LearningProgress, Stage

MOST_POINTS = 600
"""Of a curve; more than a panel has pixels across."""

STAGES = {
    Stage.TEACHER: "Teacher",
    Stage.LIGHT_FIELD: "Light field",
    Stage.COMPARING: "Test",
}
"""The stages that take time, and what they are called on the screen."""


@dataclass(frozen=True)
class LearnSettings:
    """dataset: folder of photographs with poses. out: file of the light field. minutes: of training
    in all. half_res: whether photographs are taken at half their size."""

    dataset: str
    out: str
    minutes: float
    half_res: bool = False


@dataclass(frozen=True)
class LearningCurve:
    """Points (seconds of training, dB) by stage, in the order of time, and those of held-out
    views."""

    trained: dict[Stage, tuple[tuple[float, float], ...]] = field(default_factory=dict)
    held_out: tuple[tuple[float, float], ...] = ()

    def after(self, progress: LearningProgress) -> LearningCurve:
        """With one more line. A learning that was killed goes on before where it was: what lies
        ahead of it goes."""
        at = progress.elapsed_s
        if at is None or progress.stage not in STAGES:
            return self
        trained = {
            stage: tuple(point for point in points if point[0] < at)
            for stage, points in self.trained.items()
        }
        held_out = tuple(point for point in self.held_out if point[0] < at)
        if progress.psnr_db is not None:
            points = (*trained.get(progress.stage, ()), (at, progress.psnr_db))
            trained[progress.stage] = _thinned(points)
        quality = progress.held_out_psnr_db
        if quality is not None and (not held_out or held_out[-1][1] != quality):
            held_out = _thinned((*held_out, (at, quality)))
        return replace(self, trained=trained, held_out=held_out)


def _thinned(points: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
    """Every second one once there are too many; the last stays."""
    return points if len(points) <= MOST_POINTS else (*points[:-1:2], points[-1])
