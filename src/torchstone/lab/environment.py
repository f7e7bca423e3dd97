"""What a result was computed with: versions, threads, processor, commit."""

import os
import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import torchstone

_CPU_MAX = Path("/sys/fs/cgroup/cpu.max")


def available_cores() -> int:
    """How many cores this process may use: those it may be scheduled on, or what its container's quota is worth."""
    scheduled = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(scheduled, _quota(_CPU_MAX, scheduled)))


def checked_device(device: str) -> str:
    """The name of ``device`` as tensors on it have it: ``cuda`` is ``cuda:0``, or whichever is the current one.

    Raises:
        ValueError: nothing can be computed on it here.
    """
    import torch

    try:
        tensor = torch.zeros(1, device=torch.device(device))
        tensor.item()
    except (RuntimeError, AssertionError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        raise ValueError(
            f"device must be one that this machine has, such as 'cpu', but it is '{device}': {reason}."
        ) from error
    return str(tensor.device)


def now() -> str:
    """The time, in ISO 8601, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def describe_environment(*, device: str, jobs: int, threads: int) -> Mapping[str, str]:
    """Versions, threads, processor, device, commit and date, by name.

    Args:
        device: where the trials run, such as ``cpu`` or ``cuda:0``.
        jobs: how many trials run at once; 0 means in the caller's own process.
        threads: threads of each of them.
    """
    import numpy
    import torch

    return {
        "date": now(),
        "torchstone": torchstone.__version__,
        **commit_of(Path(torchstone.__file__).parent),
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": str(available_cores()),
        "device": _device_name(device),
        "jobs": str(jobs),
        "threads per job": str(threads),
    }


def commit_of(package: Path) -> dict[str, str]:
    """``commit`` and ``dirty`` of the git checkout that holds ``package``; ``none`` for both where it is installed.

    A package installed into an environment that lies inside somebody's repository is no part of that repository:
    only a package whose files git tracks has a commit.
    """
    if _git(package, "ls-files", "--error-unmatch", "__init__.py") is None:
        return {"commit": "none", "dirty": "none"}
    commit, changes = _git(package, "rev-parse", "HEAD"), _git(package, "status", "--porcelain")
    return {"commit": commit or "none", "dirty": "none" if changes is None else "yes" if changes else "no"}


def _quota(file: Path, otherwise: int) -> int:
    """Whole cores that a cgroup (v2) grants: microseconds of computing in each period of so many; or ``max``."""
    try:
        quota, period = file.read_text().split()
        return int(quota) // int(period)
    except (OSError, ValueError):
        return otherwise


def _git(folder: Path, *arguments: str) -> str | None:
    """What git answers in ``folder``; ``None`` when it fails or is not there."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        answer = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, env=variables, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(errors="replace").splitlines() if cpuinfo.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def _device_name(device: str) -> str:
    import torch

    if torch.device(device).type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return device
