"""The engine that renders a teacher, whichever kind it is."""

from __future__ import annotations

from r2l_core.engines.nerf_engine import NerfEngine
from r2l_core.engines.radiance_engine import RadianceEngine
from r2l_core.model.nerf import NerfTeacher
from r2l_core.model.radiance.teacher import RadianceTeacher

TeacherFile = NerfTeacher | RadianceTeacher
"""What a file can hold that light fields are distilled from."""

TeacherEngine = NerfEngine | RadianceEngine


def teacher_engine(teacher: TeacherFile, device: str = "cpu") -> TeacherEngine:
    """An engine for it on "cpu" or "cuda"."""
    if isinstance(teacher, NerfTeacher):
        return NerfEngine(teacher, device)
    return RadianceEngine(teacher, device)
