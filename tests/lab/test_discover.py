"""Discovery: our own studies, those of installed packages, and a clear word about those that cannot be had."""

from importlib import import_module
from pathlib import Path

import pytest

from torchstone.lab import Study, StudyWarning, UnknownStudyError, discover, find
from torchstone.lab.discover import installed

CLAIM = """
from torchstone.lab import Claim, Outcome, Paper, Study, Trial

class {cls}(Study):
    claim = Claim("{name}", "It is so.", Paper("A", 2000, "T"))
    scales = {{"smoke": 1}}

    def trials(self, scale):
        return [Trial("a", 0)]

    def run(self, trial, context):
        return Outcome()

    def judge(self, records):
        raise ArithmeticError
"""

INIT = """
    def __init__(self, width):
        self.width = width
"""


def install(site: Path, points: dict[str, str], **modules: str) -> None:
    """Put a distribution with entry points and modules where Python looks."""
    info = site / "mine-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    lines = "".join(f"{name} = {value}\n" for name, value in points.items())
    (info / "entry_points.txt").write_text(f"[torchstone.studies]\n{lines}")
    for name, text in modules.items():
        path = site.joinpath(*name.split("__")).with_suffix(".py")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty place for packages, in which a user's studies stand alone."""
    monkeypatch.setattr(import_module("torchstone.lab.discover"), "HOME", "no_studies_of_ours")
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "no_studies_of_ours.py").touch()
    return tmp_path


def test_our_own_studies_are_found_under_the_names_of_their_claims() -> None:
    studies = discover()
    assert list(studies) == sorted(studies)
    assert all(isinstance(study, Study) and study.claim.name == name for name, study in studies.items())


def test_modules_packages_and_classes_of_a_user(site: Path) -> None:
    install(
        site,
        {"module": "one_module", "package": "user_package", "class": "another_module:Third"},
        one_module=CLAIM.format(cls="First", name="first"),
        user_package__deep=CLAIM.format(cls="Second", name="second"),
        another_module=CLAIM.format(cls="Third", name="third") + CLAIM.format(cls="Fourth", name="fourth"),
    )
    (site / "user_package" / "__init__.py").write_text("from one_module import First\n")
    assert list(discover()) == ["first", "second", "third"]
    assert find("second").claim.sentence == "It is so."


@pytest.mark.parametrize(
    ("target", "text", "message"),
    [
        ("broken_a", "import nothing_of_that_name", r"package mine\) is left out: ModuleNotFoundError"),
        ("broken_b", "raise SyntaxError('no')", "'bad = broken_b' .* SyntaxError: no"),
        ("broken_c:CLAIM", "CLAIM = 3", "it must name a module or a subclass of torchstone.lab.Study, but it is 3"),
        ("broken_d:absent", "", "AttributeError"),
        ("broken_e", CLAIM.format(cls="Bad", name="bad").replace("scales", "sales"), "scales of every .* it is None"),
        (
            "broken_f",
            CLAIM.format(cls="Bad", name="bad") + INIT,
            "study Bad of the module broken_f is left out: TypeErr",
        ),
        (
            "broken_g",
            CLAIM.format(cls="Bad", name="bad") + "    claim = 'bad'\n",
            "claim of .* a Claim, but it is 'bad'",
        ),
    ],
)
def test_a_broken_package_is_named_and_the_rest_works(site: Path, target: str, text: str, message: str) -> None:
    install(site, {"bad": target, "good": "good_module"}, **{target.partition(":")[0]: text})
    (site / "good_module.py").write_text(CLAIM.format(cls="Good", name="good"))
    with pytest.warns(StudyWarning, match=message):
        studies = discover()
    assert list(studies) == ["good"]


def test_one_bad_study_costs_no_other_of_its_package(site: Path) -> None:
    (site / "bad_and_good.py").write_text(CLAIM.format(cls="Bad", name="bad") + INIT + CLAIM.format(cls="G", name="g"))
    install(site, {"mixed": "bad_and_good"})
    with pytest.warns(StudyWarning, match=r"study Bad of the module bad_and_good is left out: .*missing 1 required"):
        assert list(discover()) == ["g"]


def test_one_broken_module_of_ours_costs_no_other(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("torchstone.lab.discover"), "HOME", "our_home")
    install(
        site, {}, our_home__broken="import nothing_of_that_name", our_home__good=CLAIM.format(cls="Good", name="good")
    )
    (site / "our_home" / "__init__.py").touch()
    with pytest.warns(StudyWarning, match=r"module our_home\.broken is left out: ModuleNotFoundError: No module named"):
        assert list(discover()) == ["good"]


def test_two_studies_of_one_name(site: Path) -> None:
    install(
        site,
        {"a": "twins_a", "b": "twins_b"},
        twins_a=CLAIM.format(cls="A", name="twin"),
        twins_b=CLAIM.format(cls="B", name="twin"),
    )
    with pytest.warns(StudyWarning, match=r"Two studies are called 'twin': twins_a.A is used, twins_b.B is left out"):
        studies = discover()
    assert type(studies["twin"]).__name__ == "A"


def test_an_unknown_name_gets_what_comes_close(site: Path) -> None:
    install(site, {"a": "close_module"}, close_module=CLAIM.format(cls="A", name="sharp-minima"))
    with pytest.raises(
        UnknownStudyError, match=r"no claim named 'sharp-minimum'. Did you mean 'sharp-minima'\? `torch"
    ):
        find("sharp-minimum")
    with pytest.raises(UnknownStudyError, match="Did you mean 'sharp-minima'"):
        find("min")
    with pytest.raises(UnknownStudyError, match=r"There is no claim named 'zzz'. `torchstone list` shows all"):
        find("zzz")


def test_what_is_found_is_installed_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    found = discover()
    assert all(installed(study) for study in found.values())

    class Local(type(next(iter(found.values())))):  # type: ignore[misc]
        pass

    assert not installed(Local())
    study = found["small-sample-bias"]
    monkeypatch.setattr(
        import_module("torchstone.lab.discover"), "HOME", "torchstone.stud"
    )  # the beginning of a name is no package
    assert not installed(study)
