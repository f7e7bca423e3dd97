"""A comparison as one HTML page: no scripts, nothing loaded from anywhere."""

from typing import TYPE_CHECKING

from torchstone.pictures import svg

if TYPE_CHECKING:
    from torchstone.similarity.comparison import Comparison

TEMPLATE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ comparison.model_a }} against {{ comparison.model_b }}</title>
<style>
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #1b1b1f; background: #fff; max-width: 60rem; margin: 2rem auto;
       padding: 0 1rem; }
h1 { font-size: 1.5rem; line-height: 1.25; margin-bottom: .3rem; }
h2 { font-size: 1.15rem; margin-top: 2.2rem; }
figure { margin: 1rem 0; }
figure svg { max-width: 100%; height: auto; }
figcaption, .note { color: #55555f; font-size: .9rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .25rem 1rem .25rem 0; border-bottom: 1px solid #e3e3e8; white-space: nowrap; }
th { font-weight: 600; border-bottom-color: #9a9aa5; }
@media print { body { margin: 0; max-width: none; } h2 { break-after: avoid; } figure, tr { break-inside: avoid; } }
</style>
</head>
<body>
<h1>{{ comparison.model_a }} against {{ comparison.model_b }}</h1>
<p class="note">All {{ comparison.layers_a | length }} layers of A against all {{ comparison.layers_b | length }}
layers of B, on the same examples.</p>
<ul>
{%- for fact in comparison.facts() %}
<li>{{ fact }}</li>
{%- endfor %}
</ul>
{%- for metric in comparison.metrics %}
<section>
<h2>{{ metric }}</h2>
<figure>
{{ pictures[metric] | safe }}
<figcaption>Rows: layers of {{ comparison.model_a }} (A), from the bottom up. Columns: layers of
{{ comparison.model_b }} (B). Light is alike
{%- if undefined[metric] %}; grey is undefined: a layer is constant, most of its examples coincide, or all are equally
alike{% endif %}.</figcaption>
</figure>
<div class="scroll">
<table>
<thead><tr><th>Layer of A</th><th>d</th><th>Closest in B</th><th>d</th>
<th>{{ metric }}{% if metric in comparison.intervals %} [95 % interval]{% endif %}</th></tr></thead>
<tbody>
{%- for row in rows[metric] %}
<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>
{%- endfor %}
</tbody>
</table>
</div>
</section>
{%- endfor %}
<h2>How to read it</h2>
<p>A high value does not prove that two layers do the same. Linear CKA can be moved at will by a few outlying examples
(Davari et al. 2022, arXiv:2210.16156); biased estimators approach 1 for unrelated layers where features outnumber
examples (Murphy et al. 2024, arXiv:2405.01012). The intervals speak of other examples, not of other training runs:
compare several networks for those.</p>
</body>
</html>
"""


def page(comparison: "Comparison") -> str:
    """The page as text."""
    from jinja2 import Environment

    template = Environment(autoescape=True).from_string(TEMPLATE)
    return template.render(
        comparison=comparison,
        pictures={metric: svg(comparison.plot(metric)) for metric in comparison.metrics},
        undefined={metric: bool(comparison.matrix(metric).isnan().any()) for metric in comparison.metrics},
        rows={metric: _rows(comparison, metric) for metric in comparison.metrics},
    )


def _rows(comparison: "Comparison", metric: str) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for row, column in enumerate(comparison.best_match(metric)):
        name, width = comparison.layers_a[row], f"{comparison.features_a[row]:,}"
        if column is None:
            rows.append((name, width, "undefined", "", ""))
            continue
        match = comparison.layers_b[column], f"{comparison.features_b[column]:,}"
        rows.append((name, width, *match, comparison.entry(metric, row, column)))
    return rows
