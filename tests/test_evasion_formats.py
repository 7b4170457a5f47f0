"""Every listed sample photo is refused in every disguise of format, mode, frame and array; the
unlisted photos pass in the same ones. Measured through the gate of the shipped configuration."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from conftest import MakeGate
from disguises import (
    BLACK_AND_WHITE,
    FRAMES,
    HIDDEN,
    LAYOUTS,
    LOSSLESS,
    LOSSY,
    MODES,
    RANGES,
    SIZES,
    STRONG,
    TURNS,
    Disguise,
    animation,
    opened,
    other,
    save,
)
from numpy.typing import NDArray
from PIL import Image
from samples import LISTED, UNLISTED, photo

from initgate import Allowed, Gate, Reason
from initgate.hashing import pdq
from initgate.image import Limits, decode
from initgate.testing import make_list, scene

ANY_FILE = LOSSLESS | LOSSY | STRONG
DISGUISED_UNLISTED = ("flower", "coins", "page")
MULTI_FRAME = ("GIF", "PNG", "WEBP", "TIFF", "AVIF", "MPO")


def assert_recognised(gate: Gate, image: object, name: str) -> None:
    """Refused because the photo was found, not for a lesser reason."""
    decision = gate.inspect(image)
    assert (decision.reason, decision.detail) == (Reason.MATCH, "")
    assert {match.entry for match in decision.matches} == {name}


def assert_passes(gate: Gate, image: object) -> None:
    """Allowed because nothing was found, not for want of looking."""
    decision = gate.inspect(image)
    assert (decision.reason, decision.detail) == (Reason.NO_MATCH, "")
    assert isinstance(decision.verdict, Allowed)


@pytest.mark.parametrize("name", LISTED)
def test_refuses_the_listed_file_itself(sample_gate: Gate, name: str) -> None:
    assert_recognised(sample_gate, LISTED[name].read_bytes(), name)


@pytest.mark.parametrize("name", LISTED)
@pytest.mark.parametrize("disguise", ANY_FILE.values(), ids=ANY_FILE)
def test_refuses_a_listed_photo_saved_anew(
    sample_gate: Gate, name: str, disguise: Disguise
) -> None:
    assert_recognised(sample_gate, disguise(photo(name)), name)


@pytest.mark.parametrize("name", LISTED)
@pytest.mark.parametrize("disguise", SIZES.values(), ids=SIZES)
def test_refuses_a_listed_photo_resized(sample_gate: Gate, name: str, disguise: Disguise) -> None:
    assert_recognised(sample_gate, disguise(photo(name)), name)


@pytest.mark.parametrize("name", LISTED)
@pytest.mark.parametrize("disguise", TURNS.values(), ids=TURNS)
def test_refuses_a_listed_photo_turned(sample_gate: Gate, name: str, disguise: Disguise) -> None:
    assert_recognised(sample_gate, disguise(photo(name)), name)


@pytest.mark.parametrize("name", [*LISTED, *UNLISTED])
@pytest.mark.parametrize("how", Image.Transpose, ids=lambda how: how.name)
def test_refuses_any_photo_turned_when_only_pdq_is_listed(
    make_gate: MakeGate, name: str, how: Image.Transpose
) -> None:
    gate = make_gate([make_list([np.asarray(photo(name, 500))])])
    assert_recognised(gate, photo(name, 500).transpose(how), "0")


@pytest.mark.parametrize("name", LISTED)
@pytest.mark.parametrize(
    "disguise", (MODES | BLACK_AND_WHITE).values(), ids=(MODES | BLACK_AND_WHITE)
)
def test_refuses_a_listed_photo_in_another_mode(
    sample_gate: Gate, name: str, disguise: Disguise
) -> None:
    assert_recognised(sample_gate, disguise(photo(name)), name)


@pytest.mark.parametrize("name", LISTED)
@pytest.mark.parametrize("disguise", HIDDEN.values(), ids=HIDDEN)
def test_refuses_a_listed_photo_hidden_in_another(
    sample_gate: Gate, name: str, disguise: Disguise
) -> None:
    assert_recognised(sample_gate, disguise(photo(name, 400)), name)


@pytest.mark.parametrize("name", ["chelsea", "coffee"])
@pytest.mark.parametrize("disguise", FRAMES.values(), ids=FRAMES)
def test_refuses_a_listed_photo_in_any_frame(
    sample_gate: Gate, name: str, disguise: Disguise
) -> None:
    assert_recognised(sample_gate, disguise(photo(name, 400)), name)


@pytest.mark.parametrize("name", LISTED)
@pytest.mark.parametrize("disguise", RANGES.values(), ids=RANGES)
def test_refuses_a_listed_photo_as_numbers_of_any_range(
    sample_gate: Gate, name: str, disguise: Disguise
) -> None:
    assert_recognised(sample_gate, disguise(photo(name, 400)), name)


@pytest.mark.parametrize("name", LISTED)
@pytest.mark.parametrize("disguise", LAYOUTS.values(), ids=LAYOUTS)
def test_refuses_a_listed_photo_in_an_array_of_any_layout(
    sample_gate: Gate, name: str, disguise: Disguise
) -> None:
    assert_recognised(sample_gate, disguise(photo(name, 400)), name)


@pytest.mark.parametrize("scale", [1e30, 1e300, 1e-30])
def test_lets_no_scale_of_floats_pass_a_listed_photo(sample_gate: Gate, scale: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as in production, where numpy's warnings stop nothing
        decision = sample_gate.inspect(np.asarray(photo("chelsea"), np.float64) * scale)
    assert decision.reason in {Reason.MATCH, Reason.UNREADABLE}


# ── PIL objects with frames ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("at", range(3))
@pytest.mark.parametrize("file_format", MULTI_FRAME)
def test_refuses_an_object_that_stands_at_another_frame(
    sample_gate: Gate, file_format: str, at: int
) -> None:
    picture = opened(animation(photo("chelsea", 400), file_format, at=at))
    picture.seek((at + 1) % 3)
    assert_recognised(sample_gate, picture, "chelsea")


@pytest.mark.parametrize("file_format", MULTI_FRAME)
def test_leaves_an_object_at_the_frame_where_it_was(sample_gate: Gate, file_format: str) -> None:
    picture = opened(animation(photo("chelsea", 400), file_format, at=2))
    picture.seek(1)
    sample_gate.check(picture)
    assert picture.tell() == 1


@pytest.mark.parametrize("file_format", MULTI_FRAME)
def test_leaves_an_object_showing_the_frame_that_it_showed(
    sample_gate: Gate, file_format: str
) -> None:
    data = animation(photo("chelsea", 400), file_format, at=2)
    picture, untouched = opened(data), opened(data)
    picture.seek(1)
    untouched.seek(1)
    sample_gate.check(picture)
    assert np.array_equal(np.asarray(picture.convert("RGB")), np.asarray(untouched.convert("RGB")))


@pytest.mark.parametrize("file_format", MULTI_FRAME)
def test_refuses_a_loaded_object_for_any_of_its_frames(sample_gate: Gate, file_format: str) -> None:
    picture = opened(animation(photo("chelsea", 400), file_format, at=2))
    picture.load()
    assert_recognised(sample_gate, picture, "chelsea")


@pytest.mark.parametrize("file_format", MULTI_FRAME)
def test_refuses_an_object_again_when_asked_again(sample_gate: Gate, file_format: str) -> None:
    picture = opened(animation(photo("chelsea", 400), file_format, at=2))
    assert_recognised(sample_gate, picture, "chelsea")
    assert_recognised(sample_gate, picture, "chelsea")


@pytest.mark.parametrize("at", range(3))
@pytest.mark.parametrize("file_format", MULTI_FRAME)
def test_refuses_a_frame_with_a_listed_photo_pasted_in(
    sample_gate: Gate, file_format: str, at: int
) -> None:
    listed = photo("chelsea", 400)
    picture = opened(animation(other(listed, 9), file_format, at=0))
    picture.seek(at)
    picture.load()
    picture.paste(listed.convert(picture.mode), (0, 0))
    assert_recognised(sample_gate, picture, "chelsea")


@pytest.mark.parametrize("at", range(3))
@pytest.mark.parametrize("file_format", MULTI_FRAME)
def test_leaves_an_edited_frame_as_it_was(sample_gate: Gate, file_format: str, at: int) -> None:
    picture = opened(animation(photo("flower", 400), file_format, at=0))
    picture.seek(at)
    picture.load()
    picture.paste(picture.resize((40, 40)), (0, 0))
    before = np.asarray(picture).copy()
    sample_gate.check(picture)
    assert np.array_equal(np.asarray(picture), before)


@pytest.mark.parametrize("file_format", MULTI_FRAME)
def test_looks_at_what_is_left_of_an_object_whose_file_is_closed(
    sample_gate: Gate, file_format: str
) -> None:
    with opened(animation(photo("flower", 400), file_format, at=0)) as picture:
        picture.load()
    assert_passes(sample_gate, picture)


# ── Reduced JPEGs ─────────────────────────────────────────────────────────────────────────────


def clipped_jpeg(grey: NDArray[np.uint8]) -> bytes:
    """A JPEG that shows a picture only where decoding clips: the mean of every block is 0.

    Each level becomes a block of 8×8 in which so much goes up as down. The half below 0 is clipped,
    the upper half shows. Coefficients that large cannot be encoded: the table by which they are
    multiplied is changed in the finished file.
    """
    wave = np.array([1, -1, -1, 1, 1, -1, -1, 1])  # the 5th term of the DCT and no other
    amplitude = np.kron(grey // 16, np.ones((8, 8))) * np.tile(wave, grey.shape[1])
    data = save(Image.fromarray((128 - 8 + amplitude).astype(np.uint8)), "JPEG", qtables=[[1] * 64])
    return data.replace(bytes([1] * 64), bytes([16] * 64))


def test_full_decoding_sees_what_a_jpeg_shows_by_clipping_and_reduced_decoding_does_not(
    make_gate: MakeGate,
) -> None:
    drawn = scene(1, height=128, width=160)
    forged = clipped_jpeg(np.asarray(Image.fromarray(drawn).convert("L")))
    assert make_gate([make_list([drawn])]).inspect(forged).reason is Reason.MATCH
    # The limit that docs/adr/0013-reduced-jpeg-decode.md tells, and why it is no default.
    reducing = make_gate([make_list([drawn])], reduce_jpegs=True)
    assert reducing.inspect(forged).reason is Reason.NO_MATCH


@pytest.mark.parametrize("name", LISTED)
def test_reduced_decoding_refuses_a_listed_photo_in_a_large_jpeg(
    make_gate: MakeGate, name: str
) -> None:
    listed = photo(name)
    gate = make_gate([make_list([np.asarray(listed)])], reduce_jpegs=True)
    for quality in (95, 40):
        larger = listed.resize((1300, 1300 * listed.height // listed.width))
        assert_recognised(gate, save(larger, "JPEG", quality=quality), "0")


# ── What must pass ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", UNLISTED)
def test_allows_an_unlisted_file(sample_gate: Gate, name: str) -> None:
    assert_passes(sample_gate, UNLISTED[name].read_bytes())


@pytest.mark.parametrize("name", DISGUISED_UNLISTED)
@pytest.mark.parametrize("disguise", (LOSSY | STRONG | SIZES).values(), ids=LOSSY | STRONG | SIZES)
def test_allows_an_unlisted_photo_saved_anew(
    sample_gate: Gate, name: str, disguise: Disguise
) -> None:
    assert_passes(sample_gate, disguise(photo(name, 400)))


@pytest.mark.parametrize("name", DISGUISED_UNLISTED)
@pytest.mark.parametrize(
    "disguise", (MODES | BLACK_AND_WHITE).values(), ids=(MODES | BLACK_AND_WHITE)
)
def test_allows_an_unlisted_photo_in_another_mode(
    sample_gate: Gate, name: str, disguise: Disguise
) -> None:
    assert_passes(sample_gate, disguise(photo(name, 320)))


@pytest.mark.parametrize("name", DISGUISED_UNLISTED)
@pytest.mark.parametrize("disguise", HIDDEN.values(), ids=HIDDEN)
def test_allows_an_unlisted_photo_hidden_in_another(
    sample_gate: Gate, name: str, disguise: Disguise
) -> None:
    assert_passes(sample_gate, disguise(photo(name, 320)))


@pytest.mark.parametrize("disguise", FRAMES.values(), ids=FRAMES)
def test_allows_an_unlisted_photo_in_any_frame(sample_gate: Gate, disguise: Disguise) -> None:
    assert_passes(sample_gate, disguise(photo("flower", 320)))


@pytest.mark.parametrize("name", DISGUISED_UNLISTED)
@pytest.mark.parametrize("disguise", (RANGES | LAYOUTS).values(), ids=RANGES | LAYOUTS)
def test_allows_an_unlisted_photo_in_an_array(
    sample_gate: Gate, name: str, disguise: Disguise
) -> None:
    assert_passes(sample_gate, disguise(photo(name, 320)))


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "I", "F"])
@pytest.mark.parametrize("colour", ["black", "grey", "white", "red"])
def test_allows_a_blank_picture(sample_gate: Gate, mode: str, colour: str) -> None:
    assert_passes(sample_gate, Image.new("RGB", (64, 64), colour).convert(mode))


# ── PDQ by itself ─────────────────────────────────────────────────────────────────────────────


def nearest_reading(image: object, picture: Image.Image) -> int:
    """The least distance in bits of a reading's PDQ from that of the RGB picture."""
    wanted = np.frombuffer(pdq.upright(np.asarray(picture))[0], np.uint8)
    return min(
        int(np.unpackbits(np.frombuffer(pdq.upright(pixels.levels)[0], np.uint8) ^ wanted).sum())
        for pixels in decode(image, limits=Limits()).pixels
    )


@pytest.mark.parametrize("name", LISTED)
@pytest.mark.parametrize("disguise", LOSSLESS.values(), ids=LOSSLESS)
def test_a_lossless_container_keeps_the_hash(name: str, disguise: Disguise) -> None:
    assert nearest_reading(disguise(photo(name)), photo(name)) == 0


@pytest.mark.parametrize("name", LISTED)
@pytest.mark.parametrize("disguise", (LOSSY | MODES).values(), ids=LOSSY | MODES)
def test_another_mode_or_container_changes_ten_bits_at_most(name: str, disguise: Disguise) -> None:
    assert nearest_reading(disguise(photo(name)), photo(name)) <= 10
