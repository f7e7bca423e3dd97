"""The pictures that claims are run on."""

import pytest

from torchstone.data import ImageSet
from torchstone.lab import Unavailable
from torchstone.studies import pictures
from torchstone.studies.pictures import cifar_pictures, fashion_pictures, glyph_pictures


class TestPictures:
    def test_no_network_is_trained_on_the_typefaces_it_is_looked_at_with(self) -> None:
        found = glyph_pictures(30)
        assert (len(found.train), len(found.held_out)) == (300, 60)
        assert found.train.classes == found.held_out.classes
        seen = {bytes(image.flatten().tolist()) for image in found.train.images}
        held_out = [bytes(image.flatten().tolist()) for image in found.held_out.images]
        assert not any(image in seen for image in held_out)

    def test_missing_data_are_said_to_be_missing(self, monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
        monkeypatch.setenv("TORCHSTONE_DATA", str(tmp_path))
        with pytest.raises(Unavailable, match="TORCHSTONE_DATA"):
            cifar_pictures(10)

        def missing(**_: object) -> ImageSet:
            raise FileNotFoundError("Fashion-MNIST is not here.")

        monkeypatch.setattr(pictures, "fashion_mnist", missing)
        with pytest.raises(Unavailable, match="not here"):
            fashion_pictures(10)
