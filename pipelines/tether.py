"""A Python module run for as long as another process lives: python -m pipelines.tether DESCRIPTOR MODULE ARGUMENTS.

The descriptor is the reading end of a pipe whose writing end that process alone has. The kernel closes it however the
process ends, `kill -9` included, and this one ends too. (PR_SET_PDEATHSIG would follow the thread that started it.)
"""

import os
import runpy
import sys
import threading


def main() -> None:
    """Run the module, and watch the pipe beside it."""
    descriptor, module = int(sys.argv[1]), sys.argv[2]
    threading.Thread(target=_end_with_the_other, args=(descriptor,), daemon=True, name="tether").start()
    sys.argv = sys.argv[2:]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _end_with_the_other(descriptor: int) -> None:
    os.read(descriptor, 1)  # nothing is ever written: it returns once the writing end is closed
    os._exit(1)  # nobody is left who could read an answer or wait for a tidy end


if __name__ == "__main__":
    main()
