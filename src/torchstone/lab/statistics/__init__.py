"""Honest statistics: estimates with intervals, tests that can reject, power before a run, and what divergence costs.

An interval of one observation is infinite, never of zero width; observations that are not finite give an interval of
NaN. Both make a check say *inconclusive*: NaN never wins and is never averaged away.

What to take: :func:`paired_difference` or :func:`mean_interval` by default, for few seeds above all; a bootstrap for
other statistics than means, from about 20 observations; :func:`resampled_difference` for folds of one data set;
:func:`jackknife` where the statistic is of all networks together; :func:`stratified_bootstrap` for a few runs on many
tasks; :func:`share_interval` for what is counted.
"""

from torchstone.lab.statistics.aggregates import iqm, probability_of_improvement, stratified_bootstrap
from torchstone.lab.statistics.best_of import expected_best
from torchstone.lab.statistics.bootstrap import bootstrap, bootstrap_difference
from torchstone.lab.statistics.cross_validation import resampled_difference
from torchstone.lab.statistics.diverged import worst_for_diverged
from torchstone.lab.statistics.families import holm
from torchstone.lab.statistics.intervals import mean_interval, paired_difference, unpaired_difference
from torchstone.lab.statistics.jackknife import jackknife
from torchstone.lab.statistics.power import power, power_near, seeds_needed
from torchstone.lab.statistics.shares import power_of_share, share_interval
from torchstone.lab.statistics.significance import permutation_test, sign_test, wilcoxon_test

__all__ = [
    "bootstrap",
    "bootstrap_difference",
    "expected_best",
    "holm",
    "iqm",
    "jackknife",
    "mean_interval",
    "paired_difference",
    "permutation_test",
    "power",
    "power_near",
    "power_of_share",
    "probability_of_improvement",
    "resampled_difference",
    "seeds_needed",
    "share_interval",
    "sign_test",
    "stratified_bootstrap",
    "unpaired_difference",
    "wilcoxon_test",
    "worst_for_diverged",
]
