"""The kinds of video: their endings, their limits, and how ffmpeg is asked for them.

While recording, every frame is flushed as a part of its own (see `fragments`), so encoders may not
look ahead or reorder; at the end the parts are joined into an ordinary file without encoding again.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from r2l_core.errors import RecordingError

_COLORS = (
    # sRGB pictures, converted and marked with the matrix of BT.709: players that are not told
    # guess by size, and shift the colours.
    "scale=out_color_matrix=bt709:out_range=tv"
    ":flags=accurate_rnd+full_chroma_int+full_chroma_inp+lanczos,format={pixels},"
    "setparams=colorspace=bt709:color_primaries=bt709:color_trc=iec61966-2-1:range=tv"
)
_FULL_COLOR_BELOW_PX = 256
"""Colour at half the resolution (4:2:0) is what every player takes. In pictures smaller than this
it costs more than all else, down to 32 dB at 64 px, and such small ones are for looking closely:
they have it in full (4:4:4), which Apple's players do not take."""


@dataclass(frozen=True)
class VideoFormat:
    """One ending. name: for people. encode: ffmpeg's output options while recording; join: when
    the parts are put together. even: whether width and height must be even; they are padded by
    repeating the last column or row."""

    suffix: str
    name: str
    encode: tuple[str, ...] = ()
    join: tuple[str, ...] = ()
    even: bool = False
    max_fps: float = 240.0

    @property
    def is_sequence(self) -> bool:
        """Whether frames are files of their own, written without ffmpeg."""
        return not self.encode

    def encoded_size(self, width_px: int, height_px: int) -> tuple[int, int]:
        """Size of the video that holds a picture of this size."""
        if not self.even:
            return width_px, height_px
        return width_px + width_px % 2, height_px + height_px % 2

    def pixel_format(self, size: tuple[int, int]) -> str:
        """How a video of that size keeps its colours, in ffmpeg's words."""
        if not self.even:
            return "rgb24" if self.is_sequence else "pal8"
        return "yuv444p" if min(size) < _FULL_COLOR_BELOW_PX else "yuv420p"

    def encode_options(self, size: tuple[int, int], fps: Fraction) -> list[str]:
        """`encode` for a video of that size, with a keyframe each second, for seeking."""
        pixels = self.pixel_format(size)
        values = {"pixels": pixels, "crf": "4" if pixels == "yuv444p" else "14"}
        keyframes = [] if self.suffix == ".gif" else ["-g", str(max(1, round(fps)))]
        encode = [option.format(**values) for option in self.encode]
        return [*encode, *keyframes, "-fps_mode", "passthrough", "-flush_packets", "1"]


FORMATS = {
    video_format.suffix: video_format
    for video_format in (
        VideoFormat(
            ".mp4",
            "MP4 (H.264)",
            encode=(
                *("-vf", _COLORS, "-c:v", "libx264", "-preset", "medium", "-crf", "{crf}"),
                *("-tune", "zerolatency", "-psy", "0"),
                *("-movflags", "frag_every_frame+empty_moov+default_base_moof"),
            ),
            join=("-movflags", "+faststart"),
            even=True,
        ),
        VideoFormat(
            ".webm",
            "WebM (VP9)",
            encode=(
                *("-vf", _COLORS, "-c:v", "libvpx-vp9", "-crf", "{crf}", "-b:v", "0"),
                *("-deadline", "good", "-cpu-used", "5", "-row-mt", "1"),
                *("-lag-in-frames", "0", "-auto-alt-ref", "0", "-cluster_time_limit", "1"),
            ),
            even=True,
        ),
        VideoFormat(
            ".gif",
            "GIF",
            encode=(
                # A palette for each frame; frames that do not build on the one before.
                *("-vf", "split[a][b];[a]palettegen=stats_mode=single[p];[b][p]paletteuse=new=1"),
                *("-c:v", "gif", "-gifflags", "-offsetting-transdiff"),
            ),
            max_fps=50.0,  # pauses below 1/50 s are lengthened by every browser
        ),
        VideoFormat(".png", "PNG pictures"),
    )
}
"""By ending."""


def format_of(path: Path) -> VideoFormat:
    """The format a file name asks for. Raises RecordingError."""
    video_format = FORMATS.get(path.suffix.lower())
    if video_format is None:
        raise RecordingError(
            f"The recording {path} cannot be written",
            f"its ending '{path.suffix}' is not known",
            f"Use one of {', '.join(FORMATS)}.",
        )
    return video_format


def require_fps(video_format: VideoFormat, path: Path, fps: float) -> None:
    """Refuse a frame rate the format cannot hold. Raises RecordingError."""
    if fps > video_format.max_fps:
        raise RecordingError(
            f"The recording {path} cannot be written",
            f"{video_format.name} holds at most {video_format.max_fps:g} frames a second",
            f"Choose a frame rate of {video_format.max_fps:g} or less, or another ending.",
        )
