"""The table at the end of `check.sh`, from what its steps have left in $OUT; also as JSON there."""

from __future__ import annotations

import json
import os
import re
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

OUT = Path(os.environ["OUT"])
STATUS = {0: "ok", 124: "out of time", 137: "out of time", 127: "not there"}


def steps(part: str) -> list[dict[str, Any]]:
    found = []
    for line in (OUT / f"{part}.steps").read_text(encoding="utf-8").splitlines():
        name, status, ms, limit = line.split()
        said = STATUS.get(int(status), f"failed ({status})")
        found.append({"step": name, "status": said, "s": int(ms) / 1e3, "limit_s": int(limit)})
    return found


def read(name: str) -> Any:
    """What a step has left, or None."""
    path = OUT / name
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def tests() -> dict[str, int] | None:
    path = OUT / "tests.xml"
    if not path.exists():
        return None
    suite = ElementTree.parse(path).getroot().find("testsuite")
    return {name: int(suite.get(name, "0")) for name in ("tests", "failures", "errors", "skipped")}


def profiles() -> list[str]:
    """What Nsight Compute says of each kernel: its name, and how busy its parts are."""
    wanted = r"_blocks|Compute \(SM\) Throughput|Memory Throughput|Duration|Achieved Occupancy"
    text = (OUT / "first.log").read_text(encoding="utf-8", errors="replace")
    return [line.strip() for line in text.splitlines() if re.search(wanted, line)][:40]


def summary(part: str) -> dict[str, Any]:
    result: dict[str, Any] = {"steps": steps(part), "machine": read("machine.json")}
    if part == "first":
        found = {"hopper": read("hopper.json"), "tests": tests(), "bench": read("bench.json")}
        return {**result, **found, "profiles": profiles()}
    windows = {p: read(f"window-{p}.json") for p in ("fp16", "int8")}
    speed = read("training-speed.json")
    return {**result, "windows": windows, "speed": speed, "training": read("training.json")}


def show(found: dict[str, Any]) -> None:
    print("\n" + "=" * 100)
    if machine := found["machine"]:
        print(f"{machine['card']}, driver {machine['driver']}, {machine['versions']}")
    for step in found["steps"]:
        print(f"{step['step']:<16}{step['status']:<16}{step['s']:>8.1f} of {step['limit_s']} s")
    for kind, said in (found.get("hopper") or {}).items():
        print(f"Hopper {kind}: {said}")
    if found.get("tests"):
        print("tests: " + ", ".join(f"{n} {name}" for name, n in found["tests"].items()))
    for run in (found.get("bench") or {}).get("runs", []):
        if "failed" in run:
            print(f"{run['case']:<22}{run['failed'][:100]}")
            continue
        sides = "".join(
            f"{side:>6}: {p['device_ms']:6.2f} / {p['ms_median']:6.2f} ms {p['per_s']:6.1f}/s"
            for side, p in run["pictures"].items()
        )
        db = "-" if run["psnr_db_vs_fp32"] is None else f"{run['psnr_db_vs_fp32']:.1f}"
        print(
            f"{run['case']:<22}tile {run['tile_network_ms']:6.2f} ms {run['tile_tflops']:6.0f} "
            f"TFLOP/s{sides}{db:>7} dB"
        )
    for line in found.get("profiles", []):
        print(line)
    for precision, window in (found.get("windows") or {}).items():
        if window:
            keys = ("images_per_s", "latency_ms_p50", "latency_ms_p95", "full_frame_s", "errors")
            print(f"window {precision}: " + ", ".join(f"{key} {window.get(key)}" for key in keys))
    for shape, speed in (found.get("speed") or {}).items():
        print(f"training {shape}: {speed['mrays_per_s']:.2f} Mray/s")
    training = found.get("training") or {}
    if training.get("curve"):
        last = training["curve"][-1]
        print(f"training: {last}, {training.get('stored_bytes')} bytes")
    for name, scored in (training.get("scores") or {}).items():
        print(f"  {name}: {scored['psnr_db_mean']:.2f} dB")


def main() -> None:
    part = sys.argv[1]
    found = summary(part)
    (OUT / f"{part}.json").write_text(json.dumps(found, indent=1), encoding="utf-8")
    if "--quiet" not in sys.argv:
        show(found)


if __name__ == "__main__":
    main()
