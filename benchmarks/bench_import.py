"""What `import torchstone` and its packages cost over `import torch`, in CPU-seconds of fresh processes."""

import statistics
import subprocess
import sys

RUNS = 5
SNIPPET = "import time; import torch; start = time.process_time(); {}; print(time.process_time() - start)"
STATEMENTS = {
    "torchstone": "import torchstone",
    "torchstone.data": "import torchstone.data",
    "torchstone.nets": "import torchstone.nets",
    "torchstone.training": "import torchstone.training",
    "torchstone.similarity": "import torchstone.similarity",
    "torchstone.lab": "import torchstone.lab",
    "every claim": "from torchstone.lab import discover; discover()",
}


def cpu_seconds(statement: str) -> float:
    command = [sys.executable, "-c", SNIPPET.format(statement)]
    return statistics.median(float(subprocess.check_output(command)) for _ in range(RUNS))


if __name__ == "__main__":
    print("import, beyond `import torch`     CPU-seconds (median of 5; the aim for torchstone is below 0.3)")
    for name, statement in STATEMENTS.items():
        print(f"  {name:30s}  {cpu_seconds(statement):.3f}")
