"""`python -m hotdash_pipelines.demo`: the stand-in store as a process of its own."""

from __future__ import annotations

import argparse
import signal
import sys
from datetime import datetime
from pathlib import Path

from hotdash_pipelines.demo.clock import VirtualClock
from hotdash_pipelines.demo.roughness import USUAL, Roughness
from hotdash_pipelines.demo.serve import ServeError, serve


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and serve; 2 with one line on standard error if that is not possible."""
    parser = argparse.ArgumentParser(prog="python -m hotdash_pipelines.demo", description="Serve the stand-in store.")
    parser.add_argument("--host", default="127.0.0.1", help="loopback address (default 127.0.0.1)")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free port")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--scale", type=float, default=0.1, help="1 is about 10,000 orders a day")
    parser.add_argument("--now", type=datetime.fromisoformat, help="freeze the clock at this instant (with zone)")
    parser.add_argument("--rough", default=USUAL, help="usual, calm or all, and kinds such as ,-late_touches")
    parser.add_argument("--endpoint-file", type=Path, help="where to write address and credentials")
    options = parser.parse_args(arguments)
    # Until uvicorn takes the signal over, it would end the process without its `finally`s.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        clock = VirtualClock(options.now)
        roughness = Roughness.read(options.rough)
        serve(options.host, options.port, options.seed, options.scale, clock, options.endpoint_file, roughness)
    except (ServeError, ValueError) as error:
        print(f"stand-in store: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
