"""The kinds of video: their endings, their limits, and how ffmpeg is asked for them.

While recording, every frame is flushed as a part of its own (see `fragments`), so encoders may not
look ahead or reorder; at the end the parts are joined into an ordinary file without encoding again.
Encoding shares the processor with rendering, so encoders are asked for little work: at 320x320
they take 3 to 6 ms a frame of one core.
"""

from __future__ import annotations

from dataclasses import dataclass
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
    repeating the last column or row. group: frames 0, group, 2 group, ... are encoded as if the
    film began with them, so that it can be completed from there and no bit differs. kept_in: ending
    of the file that keeps the frames without loss until the film is made of them as a whole, or
    empty where the film itself grows."""

    suffix: str
    name: str
    encode: tuple[str, ...] = ()
    join: tuple[str, ...] = ()
    even: bool = False
    max_fps: float = 240.0
    group: int = 1
    kept_in: str = ""

    @property
    def is_sequence(self) -> bool:
        """Whether frames are files of their own, written without ffmpeg."""
        return not self.encode

    def encoded_size(self, width_px: int, height_px: int) -> tuple[int, int]:
        """Size of the video that holds a picture of this size."""
        if not self.even:
            return width_px, height_px
        return width_px + width_px % 2, height_px + height_px % 2

    def kept_at(self, path: Path) -> Path:
        """Where the frames of the film `path` are until it is finished: it itself, or beside it."""
        return path.with_name(f"{path.stem}{self.kept_in}") if self.kept_in else path

    def pixel_format(self, size: tuple[int, int]) -> str:
        """How a video of that size keeps its colours, in ffmpeg's words."""
        if not self.even:
            return "rgb24" if self.is_sequence else "pal8"
        return "yuv444p" if min(size) < _FULL_COLOR_BELOW_PX else "yuv420p"

    def encode_options(self, size: tuple[int, int]) -> list[str]:
        """`encode` for a video of that size."""
        pixels = self.pixel_format(size)
        values = {"pixels": pixels, "qp": "8" if pixels == "yuv444p" else "18"}
        encode = [option.format(**values) for option in self.encode]
        return [*encode, "-fps_mode", "passthrough", "-flush_packets", "1"]


_GROUP = 8
"""At most this many frames less one are rendered again when an MP4 is completed. A longer one makes
files smaller by a twentieth."""

_H264 = (
    # Two slices whatever the machine, or its number of cores would show in the file.
    *("-tune", "zerolatency", "-threads", "2"),
    *("-movflags", "frag_every_frame+empty_moov+default_base_moof"),
)

FORMATS = {
    video_format.suffix: video_format
    for video_format in (
        VideoFormat(
            ".mp4",
            "MP4 (H.264)",
            encode=(
                *("-vf", _COLORS, "-c:v", "libx264", "-preset", "veryfast", "-psy", "0"),
                # One quantiser for all frames: one that adapts remembers those before.
                *("-qp", "{qp}", "-sc_threshold", "0"),
                *("-g", str(_GROUP), "-keyint_min", str(_GROUP)),
                *_H264,
            ),
            join=("-movflags", "+faststart"),
            even=True,
            group=_GROUP,
        ),
        VideoFormat(
            ".webm",
            "WebM (VP9)",
            encode=(
                *("-vf", _COLORS, "-c:v", "libvpx-vp9", "-crf", "14", "-b:v", "0"),
                *("-deadline", "realtime", "-cpu-used", "7", "-row-mt", "1", "-g", "30"),
                *("-lag-in-frames", "0", "-auto-alt-ref", "0", "-cluster_time_limit", "1"),
            ),
            even=True,
        ),
        VideoFormat(
            ".gif",
            "GIF",
            # Good palettes take the time of rendering, and one for all frames needs all of them.
            encode=("-c:v", "libx264rgb", "-preset", "ultrafast", "-qp", "0", *_H264),
            max_fps=50.0,  # pauses below 1/50 s are lengthened by every browser
            kept_in=".frames.mp4",
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
