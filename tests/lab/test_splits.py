from pathlib import Path

import pytest

from torchstone.lab import Sealed, SealedError


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "kept" / "looks"


def test_every_look_is_counted(ledger: Path) -> None:
    test = Sealed("data", ledger)
    assert test.openings == 0
    assert [test.open("a"), test.open("b"), test.open("a")] == ["data"] * 3
    assert test.openings == 3
    assert test.metrics == {"test_openings": 3.0}


def test_the_count_outlives_the_process_and_a_repeated_start_adds_nothing(ledger: Path) -> None:
    for _ in range(3):  # a process that is killed after its second look, again and again
        again = Sealed("data", ledger)
        again.open("a")
        again.open("a")
    assert again.openings == 2
    assert Sealed("data", ledger).openings == 2
    again.open("b")
    assert Sealed("data", ledger).openings == 3


def test_the_look_is_on_file_before_the_data_are_handed_out(ledger: Path) -> None:
    ledger.mkdir(parents=True)  # a folder stands where the file should: nothing can be written
    with pytest.raises(OSError, match="looks"):
        Sealed("data", ledger).open("a")


def test_a_locked_split_does_not_open_and_counts_no_look(ledger: Path) -> None:
    test = Sealed("data", ledger)
    with test.locked():
        with test.locked(), pytest.raises(SealedError, match=r"\('which lr'\) while settings were being compared"):
            test.open("which lr")
        with pytest.raises(SealedError):
            test.open("which lr")
    assert test.openings == 0
    assert test.open("the chosen lr") == "data"


@pytest.mark.parametrize("purpose", ["", " ", "a\nb", "a\n", "a\u2028b"])
def test_a_purpose_is_one_line(ledger: Path, purpose: str) -> None:
    with pytest.raises(ValueError, match="purpose must be one line of text"):
        Sealed("data", ledger).open(purpose)


def test_the_data_are_not_in_the_text_of_the_object(ledger: Path) -> None:
    assert "secret" not in repr(Sealed("secret", ledger))
    assert "0 openings" in repr(Sealed("data", ledger))
