"""What a run will do: the trials of a study at a scale, checked, with the seeds of the block that was asked for."""

import json
from collections.abc import Sequence
from dataclasses import replace

from torchstone.lab.encoding import to_json
from torchstone.lab.study import Study, Trial

SEEDS_PER_BLOCK = 1000


def planned_trials(study: Study, scale: str, block: int) -> Sequence[Trial]:
    """The trials of ``study`` at ``scale``, with seeds moved to block ``block``: by ``1000 * block``.

    Each config is as JSON gives it back (a tuple is a list, keys are in order), so a trial is the same in the plan, in
    a worker and in its record.

    Raises:
        ValueError: no such scale, a negative block, no trials, two equal trials, a seed outside [0, 1000).
        TypeError: something that is no trial, an arm that is no text, or a config that is not made of JSON values.
    """
    if scale not in study.scales:
        raise ValueError(
            f"scale must be one of {', '.join(study.scales)} for '{study.claim.name}', but it is '{scale}'."
        )
    if not isinstance(block, int) or block < 0:
        raise ValueError(f"seed must be the number of a block of seeds, 0 or more, but it is {block!r}.")
    trials = list(study.trials(study.scales[scale]))
    if not trials:
        raise ValueError(f"The study '{study.claim.name}' has no trials at the scale '{scale}'.")
    seen = dict[tuple[str, int, str], Trial]()
    for trial in trials:
        identity = _, seed, config = _identity(study.claim.name, trial)
        if identity in seen:
            raise ValueError(f"The study '{study.claim.name}' has the trial {trial} twice; trials must differ.")
        seen[identity] = replace(trial, seed=seed + SEEDS_PER_BLOCK * block, config=json.loads(config))
    return list(seen.values())


def _identity(study: str, trial: Trial) -> tuple[str, int, str]:
    if not isinstance(trial, Trial):
        raise TypeError(f"trials() of '{study}' must give Trial objects, but one is {trial!r}.")
    if not isinstance(trial.arm, str):
        raise TypeError(f"arm must be the name of an arm, but '{study}' has {trial}.")
    if not (isinstance(trial.seed, int) and 0 <= trial.seed < SEEDS_PER_BLOCK):
        raise ValueError(f"seeds must be whole numbers from 0 to {SEEDS_PER_BLOCK - 1}, but '{study}' has {trial}.")
    try:
        return trial.arm, trial.seed, to_json(trial.config)
    except TypeError as error:
        raise TypeError(f"config must be made of JSON values, but '{study}' has {trial}: {error}.") from error
