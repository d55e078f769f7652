"""Stands in for `python -m r2l_core learn --watched`: does what a test writes into its dataset.

Every line of DATASET/orders is done once, by whichever run comes to it: `say JSON` (a line of
progress), `show FILE` (the newest weights), `print WORDS` (to the error output), `end CODE`. While
it is told to wait, it does nothing. Its arguments go to DATASET/arguments, a line a run.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import sys
import threading
import time
from pathlib import Path

arguments = sys.argv[1:]


def value_of(flag: str) -> Path:
    return Path(arguments[arguments.index(flag) + 1])


dataset, state, out = value_of("--dataset"), value_of("--state"), value_of("--out")
newest = state / "newest" / out.name
alone = threading.Event()


def wait_for_end_of_input() -> None:
    while os.read(0, 100):
        pass
    alone.set()


def told(name: str) -> bool:
    try:
        return json.loads((state / "control.json").read_text())[name]
    except (OSError, ValueError):  # it is being written
        return False


def say(text: str) -> None:
    with (state / "progress.jsonl").open("a", encoding="utf-8") as file:
        file.write(text + "\n")


def obey(order: str) -> None:
    verb, _, what = order.partition(" ")
    if verb == "say":
        say(what)
        (state / "teacher.pt").touch()
    elif verb == "show":
        newest.parent.mkdir(exist_ok=True)
        shutil.copy(what, newest.with_suffix(".new"))
        newest.with_suffix(".new").replace(newest)
    elif verb == "print":
        print(what, file=sys.stderr, flush=True)
    else:
        sys.exit(int(what))


def main() -> None:
    lock = (state / "in-use.lock").open("a+b")
    fcntl.flock(lock, fcntl.LOCK_EX)
    with (dataset / "arguments").open("a", encoding="utf-8") as file:
        file.write(json.dumps([os.getpid(), *arguments]) + "\n")
    threading.Thread(target=wait_for_end_of_input, daemon=True).start()
    done, orders = dataset / "done", dataset / "orders"
    while not (told("stop") or (alone.is_set() and not told("stays"))):
        time.sleep(0.02)
        lines = orders.read_text(encoding="utf-8").splitlines() if orders.exists() else []
        at = int(done.read_text()) if done.exists() else 0
        if at < len(lines) and not told("paused"):
            done.write_text(str(at + 1))
            obey(lines[at])
    say('{"stage": "stopped"}')
    sys.exit(130)


main()
