"""One framework running one row: answers each line on stdin with a JSON line on stdout."""

import importlib
import json
import sys
import time


def peak_memory():
    """Peak resident memory of this process, in bytes; None where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def main(framework, row):
    """Serve blocks of ``row`` under ``framework`` until stdin closes."""
    from benchmarks.rows import ROWS

    torch = importlib.import_module(framework)
    setup, number, _ = ROWS[row]
    run = setup(torch)
    for line in sys.stdin:
        if line.strip() == "memory":
            print(json.dumps(peak_memory()), flush=True)
            continue
        start = time.perf_counter()
        for _ in range(number):
            run()
        print(json.dumps((time.perf_counter() - start) / number), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
