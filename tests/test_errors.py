from __future__ import annotations

import pickle

import pytest

from initgate import errors
from initgate.errors import InitgateError, InitImageRefused, ListRejected


def test_every_exception_has_the_one_root() -> None:
    found = [
        one
        for one in vars(errors).values()
        if isinstance(one, type)
        and issubclass(one, Exception)
        and one.__module__ == errors.__name__
    ]
    assert len(found) == 7
    assert all(issubclass(one, InitgateError) for one in found)


def test_the_docstring_draws_every_exception() -> None:
    tree = errors.__doc__ or ""
    for name, one in vars(errors).items():
        if isinstance(one, type) and issubclass(one, InitgateError):
            assert f"{name} " in f"{tree} ".replace("\n", " ")


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (ListRejected("bad", source="a.csv", record=3), "a.csv, line 3: bad"),
        (ListRejected("bad", source="a.csv"), "a.csv: bad"),
        (ListRejected("bad", record=3), "line 3: bad"),
        (ListRejected("bad"), "bad"),
    ],
    ids=str,
)
def test_a_rejected_list_says_where(made: ListRejected, message: str) -> None:
    assert str(made) == message


def test_a_refusal_tells_the_decision_id_and_nothing_of_the_reason() -> None:
    assert str(InitImageRefused("d-1")) == (
        "This request was refused. Give the decision id to the operator to have it reviewed. "
        "Decision id: d-1"
    )


def test_a_refusal_tells_which_argument_is_meant() -> None:
    assert str(InitImageRefused("d-1", argument="image[2]")).endswith("(argument: image[2])")


def test_a_refusal_crosses_process_borders() -> None:
    made = InitImageRefused("d-1", argument="image[2]")
    revived = pickle.loads(pickle.dumps(made))  # noqa: S301  # made in the line itself
    assert (type(revived), str(revived)) == (InitImageRefused, str(made))
    assert (revived.decision_id, revived.argument) == ("d-1", "image[2]")
