"""A fair comparison of any methods that embed: tuned alike, run afresh, tested once."""

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, TypeVar

from torch import Tensor

from torchstone.lab.audit import Finding
from torchstone.lab.engine import Engine
from torchstone.lab.reality_check.arguments import check_count, check_methods, check_parts, check_zone
from torchstone.lab.reality_check.flaws import flaws
from torchstone.lab.reality_check.parts import Embedder, Parts, fingerprint
from torchstone.lab.reality_check.place import caller, name_of
from torchstone.lab.reality_check.results import Comparison, Row, comparison, rows
from torchstone.lab.reality_check.stages import SCALE, Chosen, Reproducing, Tuning, choose, stage_of
from torchstone.lab.run import Event, Run
from torchstone.lab.runner import ignore, run_study
from torchstone.lab.search.ranges import describe, space_of
from torchstone.lab.search.samplers import Sampler, random_setting, sobol_setting
from torchstone.lab.version import source_version

T = TypeVar("T")
SAMPLERS: Mapping[str, Sampler] = {"random": random_setting, "sobol": sobol_setting}
MOST_REPRODUCTIONS = 999  # a block has 1000 seeds, and the first is the search's


@dataclass(eq=False)
class RealityCheck(Generic[T]):
    """Methods compared by the protocol of Musgrave et al.: every one gets the same search, and nothing sees the test.

    1. *Search.* Each method gets ``settings`` settings. Each is trained for ``steps`` steps on every fold and scored on
       what the fold holds out; the best mean over folds wins. A setting that diverges on a fold counts, and never wins.
    2. *Reproductions.* The best setting is run ``reproductions`` times, with seeds that the search has not seen and all
       methods share. Each time there is one model for each fold; only then the test part is opened, once.
       *Separated* is the mean of the models' scores; *concatenated* is the score of their embeddings side by side,
       each row of each model brought to length 1.

    Every training of the search and every reproduction is on record in ``out`` when it ends: a run that was killed goes
    on when :meth:`run` is called again. Records are of the same check only if the source of the modules that make it,
    and the tensors in ``data``, are the same.

    Args:
        methods: two or more, each ``(factory, recipe)``: ``factory(setting, seed)`` makes an
            :class:`~torchstone.lab.reality_check.Embedder`; ``recipe`` is the frozen dataclass of its settings, with
            ranges of :mod:`torchstone.lab.search`.
        data: what ``split`` takes, such as images with labels.
        split: ``split(data, folds)`` gives :class:`~torchstone.lab.reality_check.Parts`, the same each time.
        metric: ``metric(embeddings, part)`` gives a number, the higher the better.
        zone: how much two methods may differ, in the unit of ``metric``, and still count as equivalent. Decide before
            you see a result.
        controls: what is not tuned on purpose, such as raw pixels: ``factory(seed)`` by name. They are reproduced like
            methods, but no part of the verdict.
        settings: how many settings each method gets.
        steps: how many steps each training gets.
        folds: how many folds, 4 in the paper.
        reproductions: how often the best setting is run, 10 in the paper.
        sampler: ``sobol`` or ``random``, whose settings do not wait for one another.
        seed: the block of seeds: another one is another search and other reproductions.
        out: the folder of the records.
        name: under which the records lie in ``out``.

    Raises:
        ValueError, TypeError: an argument is not as it must be.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> import torch
        >>> from torchstone.lab.search import linear, log
        >>> @dataclass(frozen=True)
        ... class Weight:
        ...     weight: float = log(0.1, 10.0)
        >>> class Stretch:
        ...     def __init__(self, setting, seed):
        ...         self.weights = torch.tensor([1.0, setting.weight])
        ...     def fit(self, data, *, steps):
        ...         pass
        ...     def embed(self, data):
        ...         return data[0] * self.weights
        >>> class Blind(Stretch):
        ...     def embed(self, data):
        ...         return data[0][:, 1:] * self.weights[1:]
        >>> def split(data, folds):
        ...     x, y = data
        ...     a, b, test = ((x[y // 2 == part], y[y // 2 == part]) for part in range(3))
        ...     return Parts([(a, b), (b, a)], test)
        >>> def nearest(embeddings, part):
        ...     far = torch.cdist(embeddings, embeddings).fill_diagonal_(torch.inf)
        ...     return (part[1][far.argmin(1)] == part[1]).double().mean()
        >>> y = torch.arange(6).repeat(8)
        >>> noise = torch.randn(48, 2, generator=torch.Generator().manual_seed(0))
        >>> data = (torch.stack([y.float(), 0 * y], 1) + noise * torch.tensor([0.1, 5.0]), y)
        >>> methods = {"stretch": (Stretch, Weight), "blind": (Blind, Weight)}
        >>> small = {"settings": 4, "steps": 1, "folds": 2, "reproductions": 3}
        >>> with TemporaryDirectory() as out:
        ...     check = RealityCheck(methods, data, split, metric=nearest, zone=0.05, out=out, **small)
        ...     run = check.run()
        >>> print(check.compare("stretch", "blind", embeddings="separated"))
        stretch - blind: 0.375 [0.375, 0.375], zone 0.05: better
        >>> for finding in check.audit():
        ...     print(finding)
        missing interval: The check 'stretch - blind' rests on one number, or on seeds that all agree.
        differing embeddings: Dimensions of an embedding: 'stretch' 2, 'blind' 1.

    Paper: Musgrave, Belongie & Lim (2020), A metric learning reality check, arXiv:2003.08505, section 3.
    Differs from the paper: a Sobol or random search instead of Bayesian optimization; ``steps`` are fixed, not stopped
        early on validation data; embeddings of single models are scored as ``embed`` gives them.
    """

    methods: Mapping[str, tuple[Callable[[Any, int], Embedder[T]], type]]
    data: T
    split: Callable[[T, int], Parts[T]]
    _: KW_ONLY
    metric: Callable[[Tensor, T], Any]
    zone: float
    controls: Mapping[str, Callable[[int], Embedder[T]]] = field(default_factory=dict)
    settings: int = 8
    steps: int = 1000
    folds: int = 4
    reproductions: int = 5
    sampler: str = "sobol"
    seed: int = 0
    out: Path | str = Path("torchstone-runs")
    name: str = "reality-check"

    def __post_init__(self) -> None:
        self.module = caller()
        self._run: Run | None = None
        self._chosen: Mapping[str, Chosen] = {}
        check_methods(self.methods, self.controls)
        for name in ("settings", "steps", "folds", "reproductions"):
            check_count(name, getattr(self, name))
        if self.reproductions > MOST_REPRODUCTIONS:
            raise ValueError(f"reproductions must be at most {MOST_REPRODUCTIONS}, but it is {self.reproductions}.")
        check_zone(self.zone)
        if self.sampler not in SAMPLERS:
            raise ValueError(f"sampler must be one of {', '.join(SAMPLERS)}, but it is {self.sampler!r}.")
        if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", self.name):
            raise ValueError(f"name must be lower-case words joined by hyphens, but it is {self.name!r}.")

    def run(self, *, jobs: int = 0, engine: Engine | None = None, listen: Callable[[Event], None] = ignore) -> Run:
        """Do what is not on record: the search, then the reproductions.

        Args:
            jobs: how many trainings run at once, each in a process of its own; 0 runs them in this one. Processes and
                engines need the check to stand at the top level of a module that can be imported.
            engine: what runs them, such as a :class:`~torchstone.lab.RayEngine`.
            listen: called with every :class:`~torchstone.lab.Event`.

        Returns:
            The run of the reproductions, which :func:`~torchstone.lab.write_report` takes. Its verdict is *confirmed*
            if all pairs of methods are equivalent within ``zone``.

        Raises:
            Diverged: every setting of a method did.
            TrialsFailedError: a method raised; what has finished is on record.
            RunInterrupted: Ctrl-C; what has finished is on record.
        """
        how: dict[str, Any] = {
            "out": Path(self.out),
            "seed": self.seed,
            "jobs": jobs,
            "engine": engine,
            "listen": listen,
        }
        searched = run_study(self.tuning(), SCALE, **how)
        self._chosen = choose(self, searched.records)
        self._run = run_study(self.reproducing(self._chosen), SCALE, **how)
        return self._run

    def table(self) -> list[Row]:
        """What was found of each method and control, with 95 % intervals over the reproductions; ``print(*...)`` it.

        Raises:
            RuntimeError: :meth:`run` was not called.
        """
        return rows(self.finished.records, self._chosen)

    def compare(self, a: str, b: str, *, zone: float | None = None, embeddings: str = "concatenated") -> Comparison:
        """Whether ``a`` is better than, worse than or equivalent to ``b``, or whether that is undecided.

        The difference is of reproductions with the same seed. It is *equivalent* if its 95 % interval lies within
        ±zone; else *better* or *worse* if the interval lies on one side of 0; else *undecided*, as with one
        reproduction, or where one diverged.

        Args:
            a: a method or control.
            b: another one.
            zone: that of the check, unless given.
            embeddings: ``concatenated`` or ``separated``.

        Raises:
            ValueError: no such method or score, the two are one, or the zone is not positive.
            RuntimeError: :meth:`run` was not called.
        """
        zone = self.zone if zone is None else zone
        check_zone(zone)
        return comparison(self.finished.records, a, b, zone, embeddings)

    def audit(self) -> list[Finding]:
        """The paper's list of flaws, looked for in what was run; none found is no proof that all is well.

        To what :func:`torchstone.lab.audit` looks for (unequal budgets or seeds, selection on test, missing intervals)
        it adds: classes that two of the parts share; embeddings of different sizes; recipes that fix the same field at
        different values, such as a crop; a search of which more than half diverged.

        Raises:
            RuntimeError: :meth:`run` was not called.
        """
        return flaws(self, self.finished, self._chosen)

    def validation_scores(self, method: str) -> Sequence[float]:
        """The mean score over folds of every setting of ``method``, in the order of its search; NaN if one diverged.

        Raises:
            RuntimeError: :meth:`run` was not called.
            ValueError: no such method.
        """
        chosen = self._chosen if self.finished else {}
        if method not in chosen:
            raise ValueError(f"method must be one of {', '.join(self.methods)}, but it is {method!r}.")
        return chosen[method].scores

    @property
    def finished(self) -> Run:
        """The run of the reproductions.

        Raises:
            RuntimeError: :meth:`run` was not called.
        """
        if self._run is None:
            raise RuntimeError("There are no results yet: call run() first. What is on record is not run again.")
        return self._run

    @cached_property
    def tuning(self) -> type[Tuning]:
        """The search as a study; a worker process finds it by this name."""
        sentence = f"Of {self.settings} settings, one of each method is the best on validation folds."
        name = f"{self.name}-tuning"
        return stage_of(self, Tuning, place=f"{name_of(self, self.module)}.tuning", name=name, sentence=sentence)

    @cached_property
    def reproducing(self) -> type[Reproducing]:
        """The reproductions as a study; a worker process finds it by this name."""
        sentence = f"Tuned and tested alike, {', '.join(self.methods)} differ by at most {self.zone:g}."
        return stage_of(
            self, Reproducing, place=f"{name_of(self, self.module)}.reproducing", name=self.name, sentence=sentence
        )

    @cached_property
    def parts(self) -> Parts[T]:
        """The data, split.

        Raises:
            TypeError, ValueError: ``split`` gave something else.
        """
        parts = self.split(self.data, self.folds)
        check_parts(parts, self.folds)
        return parts

    @cached_property
    def shared(self) -> dict[str, Any]:
        """What every trial says of code and data."""
        made_by = [
            self.split,
            self.metric,
            *self.controls.values(),
            *(each for pair in self.methods.values() for each in pair),
        ]
        modules = {each.__module__ for each in made_by if inspect.isfunction(each) or inspect.isclass(each)}
        code = source_version(sorted(modules | {self.module}))
        return {"code": code, "data": fingerprint(self.data), "folds": self.folds}

    def plan(self, method: str) -> dict[str, Any]:
        """What every trial of the search of ``method`` says."""
        space = describe(self.methods[method][1])
        return self.shared | {"steps": self.steps, "sampler": self.sampler, "space": space}

    def setting(self, method: str, k: int, seed: int) -> dict[str, Any]:
        """Setting ``k`` of ``method``: its values by name, a function of the arguments alone."""
        recipe = self.methods[method][1]
        setting: object = SAMPLERS[self.sampler](recipe, seed=seed, arm=method, k=k)
        return {name: getattr(setting, name) for name in space_of(recipe)}

    def make(self, method: str, values: Mapping[str, Any], seed: int, fold: int) -> Embedder[T]:
        """A method or control, untrained; each seed and fold has a random seed of its own, the same for all methods."""
        own = seed * self.folds + fold
        if method in self.controls:
            return self.controls[method](own)
        factory, recipe = self.methods[method]
        return factory(recipe(**values), own)
