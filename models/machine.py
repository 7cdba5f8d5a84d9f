"""Which machine a latency was measured on."""

import os
import platform
from pathlib import Path


def machine_name() -> str:
    """Return processor, core count and system in one line, for example 'Intel Xeon, 2 cores, Linux x86_64'."""
    return f"{_processor()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or "unknown processor")
