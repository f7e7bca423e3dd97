"""Tasks: what they ask, where it counts, that batches are a function of the seed; and the scorer."""

import random
import re
from collections import Counter
from typing import Any

import pytest
import torch

from torchstone.programs.memory.tasks import (
    BigramFlip,
    Copy,
    Counting,
    Dyck,
    Example,
    GenderConjugation,
    Reversal,
    SequenceBatch,
    SvoToSov,
    Task,
    score,
    sequence_loss,
)
from torchstone.programs.memory.tasks.dyck import balanced
from torchstone.programs.memory.tasks.grammars import GENDER, SVO_SOV

EVERY = [
    Copy(symbols=5, lengths=(2, 7)),
    Reversal(symbols=5, lengths=(2, 7)),
    BigramFlip(symbols=5, lengths=(1, 7)),
    SvoToSov(lengths=(3, 15)),
    GenderConjugation(lengths=(2, 15)),
    Dyck(lengths=(2, 12)),
    Counting(lengths=(1, 9), language="a^n b^m c^(n+m)"),
]
named = pytest.mark.parametrize("task", EVERY, ids=lambda task: type(task).__name__)


def sides(task: Task, steps: int = 20) -> list[tuple[list[str], list[str]]]:
    """Source and target of each sequence of some batches."""
    found = []
    for step in range(steps):
        batch = task.at(step)
        for inputs, targets, mask in zip(batch.inputs, batch.targets, batch.mask, strict=True):
            whole = task.spell([*inputs[mask], targets[mask][-1]])
            assert (whole[0], whole[-1]) == ("<s>", "</s>")
            separator = whole.index("|||")
            found.append((whole[1:separator], whole[separator + 1 : -1]))
    return found


@named
def test_batches_are_a_function_of_seed_and_step(task: Task) -> None:
    again = type(task)(**vars(task))
    other = type(task)(**(vars(task) | {"seed": 1}))
    assert all(torch.equal(a, b) for a, b in zip(task.at(3), again.at(3), strict=True))
    for differs in (task.at(4), other.at(3)):
        same = differs.inputs.shape == task.at(3).inputs.shape and torch.equal(differs.inputs, task.at(3).inputs)
        assert not same
    with pytest.raises(IndexError, match="counts from 0, but is -1"):
        task.at(-1)


@named
def test_a_larger_batch_begins_with_the_smaller_one(task: Task) -> None:
    few, many = (type(task)(**(vars(task) | {"batch": batch})).at(2) for batch in (3, 8))
    for row in range(3):
        assert torch.equal(few.inputs[row][few.mask[row]], many.inputs[row][many.mask[row]])
        assert torch.equal(few.targets[row][few.scored[row]], many.targets[row][many.scored[row]])


@named
def test_all_parts_of_a_batch_go_to_a_device(task: Task) -> None:
    moved = task.at(0).to("meta")
    assert isinstance(moved, SequenceBatch)
    assert {part.device.type for part in moved} == {"meta"}


@named
def test_padding_is_behind_and_never_counts(task: Task) -> None:
    batch = task.at(0)
    assert batch.inputs.shape == batch.targets.shape == batch.mask.shape == batch.scored.shape
    assert len(batch.inputs) == task.batch
    assert (batch.mask.int().diff() <= 0).all()
    assert not (batch.scored & ~batch.mask).any()
    assert batch.scored.any(1).all()
    assert int(max(batch.inputs.max(), batch.targets.max())) < len(task.words)
    assert len(set(task.words)) == len(task.words)


@pytest.mark.parametrize("task", EVERY[:5], ids=lambda task: type(task).__name__)
def test_a_transduction_continues_word_by_word_and_counts_from_the_separator_on(task: Task) -> None:
    batch = task.at(0)
    assert torch.equal(batch.inputs[:, 1:][batch.mask[:, 1:]], batch.targets[:, :-1][batch.mask[:, 1:]])
    separator = task.words.index("|||")
    counted = (batch.inputs == separator).cumsum(1).bool() & batch.mask
    assert torch.equal(batch.scored, counted)


@named
def test_all_lengths_occur_and_no_others(task: Task) -> None:
    shortest, longest = task.lengths
    if isinstance(task, Counting):
        found = {int((row == 2).sum()) for step in range(30) for row in task.at(step).inputs}
        assert found == set(range(shortest, longest + 1))
    elif isinstance(task, Dyck):
        found = {int(row.sum()) - 1 for step in range(30) for row in task.at(step).mask}
        assert found == set(range(2, 13, 2))
    else:
        found = {len(source) for source, _ in sides(task)}
        only_even = isinstance(task, BigramFlip)
        possible = {n for n in range(shortest, longest + 1) if not (only_even and n % 2)}
        assert found <= possible
        assert {min(found), max(found)} == {min(possible), max(possible)}


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        (EVERY[0], lambda s: s),
        (EVERY[1], lambda s: s[::-1]),
        (EVERY[2], lambda s: [s[i ^ 1] for i in range(len(s))]),
    ],
)
def test_copy_reversal_and_flip(task: Task, expected: Any) -> None:
    pairs = sides(task)
    assert all(target == expected(source) for source, target in pairs)
    assert {word for source, _ in pairs for word in source} == {"a1", "a2", "a3", "a4", "a5"}


def test_the_verb_of_the_whole_sentence_goes_to_its_end_and_no_other_moves() -> None:
    for source, target in sides(SvoToSov(lengths=(3, 20))):
        translated = [word.replace("i", "o", 1) if word != "rpi" else "rpo" for word in source]
        moved = target[-1]
        assert moved.startswith("vo")
        places = [
            i
            for i, word in enumerate(translated)
            if word == moved and translated[:i] + translated[i + 1 :] + [word] == target
        ]
        assert places


def test_articles_take_the_gender_of_their_noun() -> None:
    articles = {("the", "m"): "der", ("the", "f"): "die", ("the", "n"): "das"}
    articles |= {("a", "m"): "ein", ("a", "f"): "eine", ("a", "n"): "ein"}
    conjunctions = {"or": "oder", "and": "und"}
    for source, target in sides(GenderConjugation(lengths=(1, 30))):
        expected = []
        for word, following in zip(source, [*source[1:], ""], strict=True):
            if word in ("the", "a"):
                expected.append(articles[word, following[1]])
            else:
                expected.append(conjunctions.get(word) or ("wg" if word[0] == "w" else f"g{word[1]}") + word[2:])
        assert target == expected


def test_the_papers_own_example_is_in_the_language() -> None:
    shapes = {re.sub(r"\d+", "", " ".join(source)) for source, _ in sides(GenderConjugation(lengths=(6, 6)), steps=60)}
    assert "we the en and the em" in shapes


@pytest.mark.parametrize(("grammar", "words"), [(SVO_SOV, 3 * 33), (GENDER, 4 * 25)])
def test_the_grammars_are_those_of_the_paper_in_size_and_their_probabilities_add_up(grammar: Any, words: int) -> None:
    for rules in grammar.values():
        assert sum(probability for probability, _, _ in rules) == pytest.approx(1)
    assert sum(len(rules) for name, rules in grammar.items() if len(rules) > 20) == words


def test_a_grammar_without_strings_of_such_a_length_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torchstone.programs.memory.tasks.grammars.TRIES", 50)
    with pytest.raises(ValueError, match=r"`lengths` is \(1, 2\), but the grammar"):
        SvoToSov(lengths=(1, 2)).at(0)


def test_dyck_asks_for_the_bracket_that_a_stack_would_close() -> None:
    task = Dyck(kinds=3, lengths=(2, 16))
    for step in range(20):
        batch = task.at(step)
        for inputs, targets, mask in zip(batch.inputs, batch.targets, batch.mask, strict=True):
            held: list[str] = []
            for bracket, target in zip(task.spell(inputs[mask]), task.spell(targets[mask]), strict=True):
                if bracket[0] == "(":
                    held.append(bracket[1])
                elif bracket[0] == ")":
                    assert held.pop() == bracket[1]
                assert target == (f"){held[-1]}" if held else "</s>")
            assert not held


def test_balanced_strings_are_uniform() -> None:
    """Five of length 6, the third Catalan number; chi-square of 2000 draws with 4 degrees of freedom."""
    generator = random.Random(0)
    counts = Counter(tuple(balanced(3, generator)) for _ in range(2000))
    assert len(counts) == 5
    assert sum((count - 400) ** 2 / 400 for count in counts.values()) < 18.5  # 0.1 %


@pytest.mark.parametrize(
    ("language", "n", "m", "string", "counted"),
    [
        ("a^n b^n", 2, 0, "aabb", 2),
        ("a^n b^n c^n", 2, 0, "aabbcc", 4),
        ("a^n b^n c^n d^n", 1, 0, "abcd", 3),
        ("a^n b^2n", 2, 0, "aabbbb", 4),
        ("a^n b^m c^(n+m)", 1, 2, "abbccc", 3),
    ],
)
def test_strings_of_the_counting_languages(language: Any, n: int, m: int, string: str, counted: int) -> None:
    task = Counting(language=language)
    inputs, targets, scored = task.string(n, m)
    assert "".join(inputs) == "<s>" + string
    assert "".join(targets) == string + "</s>"
    assert list(scored) == [False] * (len(string) + 1 - counted) + [True] * counted
    assert set("".join(task.words[2:])) == set(string)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Copy(lengths=(5, 4)), r"`lengths` must be \(shortest, longest\), but is \(5, 4\)"),
        (lambda: Copy(lengths=6), r"`lengths` must be \(shortest, longest\), but is 6"),
        (lambda: Copy(lengths=(6,)), r"`lengths` must be \(shortest, longest\), but is \(6,\)"),
        (lambda: Copy(lengths=(0, 4)), r"`lengths\[0\]` must be at least 1"),
        (lambda: Copy(batch=0), "`batch` must be at least 1"),
        (lambda: Copy(symbols=0), "`symbols` must be at least 1"),
        (lambda: BigramFlip(lengths=(3, 3)), "no even number"),
        (lambda: Dyck(lengths=(5, 5)), "no even number"),
        (lambda: Dyck(kinds=0), "`kinds` must be at least 1"),
        (lambda: Counting(language="a^n"), "`language` must be one of 'a.n b.n', .* but is 'a.n'"),
        (lambda: Counting().string(0), "`n` is 0"),
        (lambda: Counting(language="a^n b^m c^(n+m)").string(1), "`m` 0"),
    ],
)
def test_bad_tasks_are_refused_in_words(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def batch_of(targets: list[list[int]], scored: list[list[int]]) -> SequenceBatch:
    counts = torch.tensor(scored).bool()
    return SequenceBatch(torch.tensor(targets), torch.tensor(targets), torch.ones_like(counts), counts)


def test_coarse_and_fine_by_hand() -> None:
    batch = batch_of([[0, 1, 2, 3]] * 4, [[0, 1, 1, 1], [0, 1, 1, 1], [0, 1, 1, 0], [1, 1, 1, 1]])
    guesses = torch.tensor([[3, 1, 2, 3], [0, 1, 0, 3], [0, 1, 2, 0], [1, 1, 2, 3]])
    coarse, fine = score(torch.eye(4)[guesses], batch)
    assert coarse.tolist() == [1, 0, 1, 0]
    torch.testing.assert_close(fine, torch.tensor([1, 1 / 3, 1, 0]))


def test_going_on_from_its_own_guesses_scores_the_same() -> None:
    """A network that is a random function of the words so far, once fed the right words and once its own."""
    task = Reversal(symbols=2, lengths=(1, 3), batch=40)
    batch = task.at(0)

    def guess(words: list[int]) -> int:
        return random.Random(str(words)).randrange(2, 5)

    logits = torch.zeros(*batch.inputs.shape, 5)
    free_coarse, free_fine = [], []
    for i, (inputs, targets, scored) in enumerate(zip(batch.inputs, batch.targets, batch.scored, strict=True)):
        read = inputs.tolist()
        for t in range(len(read)):
            logits[i, t, guess(read[: t + 1])] = 1.0
        own, right = read[: int(scored.int().argmax()) + 1], []
        for t in scored.nonzero()[:, 0].tolist():
            own = [*own, guess(own)]
            right.append(own[-1] == int(targets[t]))
        free_coarse.append(float(all(right)))
        free_fine.append([*right, False].index(False) / len(right))
    coarse, fine = score(logits, batch)
    assert coarse.tolist() == free_coarse
    torch.testing.assert_close(fine, torch.tensor(free_fine))


def test_the_loss_is_the_mean_over_the_steps_that_count() -> None:
    batch = batch_of([[0, 1], [1, 1]], [[0, 1], [1, 1]])
    logits = torch.randn(2, 2, 3, generator=torch.Generator().manual_seed(0)).double()
    log_p = logits.log_softmax(-1)
    expected = -(log_p[0, 1, 1] + log_p[1, 0, 1] + log_p[1, 1, 1]) / 3
    torch.testing.assert_close(sequence_loss(logits, batch), expected)


def test_what_cannot_be_scored_is_refused_in_words() -> None:
    batch = batch_of([[0, 1]], [[1, 1]])
    with pytest.raises(ValueError, match=r"\(b, t\) = \(1, 2\) of the batch, but has shape \(1, 3, 4\)"):
        score(torch.zeros(1, 3, 4), batch)
    with pytest.raises(ValueError, match=r"\(b, t\) = \(1, 2\) of the batch, but has shape \(1, 3, 4\)"):
        sequence_loss(torch.zeros(1, 3, 4), batch)
    with pytest.raises(ValueError, match="`logits` has NaN"):
        score(torch.full((1, 2, 4), torch.nan), batch)
    with pytest.raises(ValueError, match="no step counts"):
        score(torch.zeros(1, 2, 4), batch_of([[0, 1]], [[0, 0]]))


def test_examples_of_ones_own_can_be_encoded() -> None:
    task = Copy(symbols=2)
    batch = task.encode([Example(["<s>", "a1"], ["a1", "</s>"], [False, True]), Example(["<s>"], ["</s>"], [True])])
    assert batch.mask.tolist() == [[True, True], [True, False]]
    assert task.spell(batch.targets[0]) == ["a1", "</s>"]
