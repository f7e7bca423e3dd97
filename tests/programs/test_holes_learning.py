"""Programs that hold more than curves: a stack whose pushes and pops are learned, pictures that are added, a limit."""

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from torchstone.data import digits
from torchstone.nets import seeded
from torchstone.programs.holes import Poly, choose, flag, hole, program
from torchstone.programs.memory import NeuralStack

NUMBER, PLUS, BLANK = range(3)


@program
def evaluate(kinds, numbers):
    """Postfix expressions: the sums are ordinary code, when to push and to pop is learned."""
    stack = NeuralStack(1)
    state = stack.start(len(kinds))
    top, nothing = torch.zeros(len(kinds), 1), torch.zeros(len(kinds))
    for kind, number in zip(kinds.unbind(1), numbers.unbind(1), strict=True):
        pop, push = hole("pop", kind), hole("push", kind)
        state, below = stack.step(state, top, nothing, pop)
        value = number[:, None] + kind[:, PLUS, None] * (below + top)
        state, top = stack.step(state, value, push, pop)
    return top[:, 0]


def expression(terms: int, g: torch.Generator) -> tuple[list[tuple[int, float]], float]:
    """Tokens in postfix order, blanks among them, and the value by an ordinary list."""
    tokens, waiting, left = [], [], terms
    while left or len(waiting) > 1:
        u = float(torch.rand((), generator=g))
        if u < 0.2:
            tokens.append((BLANK, 0.0))
        elif len(waiting) > 1 and (u < 0.6 or not left):
            waiting.append(waiting.pop() + waiting.pop())
            tokens.append((PLUS, 0.0))
        elif left:
            waiting.append(float(torch.rand((), generator=g)))
            tokens.append((NUMBER, waiting[-1]))
            left -= 1
    return tokens, waiting[0]


def expressions(n: int, terms: int, length: int, g: torch.Generator) -> list[tuple[tuple[Tensor, Tensor], float]]:
    found = []
    while len(found) < n:
        tokens, value = expression(terms, g)
        if len(tokens) <= length:
            tokens += [(BLANK, 0.0)] * (length - len(tokens))
            kinds, numbers = map(torch.tensor, zip(*tokens, strict=True))
            found.append(((one_hot(kinds, 3).float(), numbers), value))
    return found


def test_pushes_and_pops_are_learned_from_the_values_of_expressions() -> None:
    g = torch.Generator().manual_seed(0)
    with seeded(0):
        for name in ("pop", "push"):
            evaluate.holes[name] = nn.Sequential(nn.Linear(3, 1, bias=False), nn.Flatten(0), nn.Sigmoid())
    evaluate.fit(expressions(24, 3, 7, g), batching="native", steps=60, restarts=1, lr=0.1, check=False)
    rounded = {name: evaluate.holes[name](torch.eye(3)).round().tolist() for name in ("pop", "push")}
    assert rounded == {"pop": [0, 1, 0], "push": [1, 1, 0]}  # of a number, of a plus, of a blank
    long = expressions(4, 8, 25, g)
    kinds, numbers = (torch.stack(column) for column in zip(*(inputs for inputs, _ in long), strict=True))
    values = torch.tensor([value for _, value in long])
    torch.testing.assert_close(evaluate(kinds, numbers), values, atol=0.01, rtol=0)


@program
def add(first, second):
    return choose("digit", first, among=range(10)) + choose("digit", second, among=range(10))


def miss(output: Tensor, target: Tensor) -> Tensor:
    return 5.0 * (output - target) ** 2


def test_digits_are_told_apart_by_sums_alone() -> None:
    data, g = digits(), torch.Generator().manual_seed(0)
    x, y, order = data.images / 255, data.labels, torch.randperm(1797, generator=g)
    with seeded(0):
        add.holes["digit"] = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    pairs = zip(order[:600].tolist(), order[600:1200].tolist(), strict=True)
    examples = [((x[i], x[j]), float(y[i] + y[j])) for i, j in pairs]
    options = {"branches": "likelihood", "batching": "native", "max_paths": 100, "check": False}
    add.fit(examples, loss=miss, batch=64, steps=300, restarts=1, lr=0.02, **options)
    rest = order[1200:]
    right = add.holes["digit"](x[rest]).argmax(1) == y[rest]
    assert right.double().mean() >= 0.95


def test_a_fare_with_a_limit_is_learned_from_its_totals() -> None:
    @program
    def fare(km, hour):
        price = hole("tariff", km)
        if flag("night", hour):
            price = price + hole("surcharge", 1.0)
        return price

    fare.holes["tariff"], fare.holes["surcharge"] = Poly(1), Poly(0)
    km = 10 * torch.rand(40, generator=torch.Generator().manual_seed(0))
    hours = torch.linspace(0, 23.9, 40)
    rides = [((x, hour), 2 + 1.5 * x + 3 * (hour > 20)) for x, hour in zip(km, hours, strict=True)]
    fare.fit(rides, branches="likelihood", steps=100, restarts=2)
    assert fare.explain("tariff") == "tariff(km) = 2 + 1.5*km"
    assert fare.explain("surcharge") == "surcharge(1.0) = 3"
    assert torch.stack([fare(*ride) - price for ride, price in rides]).abs().max() < 1e-4
