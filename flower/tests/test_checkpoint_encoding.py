import json
import math
from typing import Any

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from flwr.app import Array, ArrayRecord
from hypothesis import given, settings
from hypothesis import strategies as st

from oneflower.checkpoints.encoding import Encoder, UnknownValueError, decode

dtypes = st.one_of(hnp.floating_dtypes(), hnp.integer_dtypes(), hnp.boolean_dtypes())
arrays = hnp.arrays(dtypes, hnp.array_shapes(min_dims=0, min_side=0, max_side=3))
records = st.dictionaries(st.text(max_size=5), arrays.map(np.ascontiguousarray), max_size=3)
keys = st.one_of(st.text(), st.integers(), st.tuples(st.integers()))
plain = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(), arrays)
values = st.recursive(
    plain,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.lists(inner, max_size=3).map(tuple), st.dictionaries(keys, inner, max_size=3)
    ),
    max_leaves=6,
)


def same(one: Any, other: Any) -> bool:  # noqa: ANN401
    if isinstance(one, np.ndarray):
        return isinstance(other, np.ndarray) and one.dtype == other.dtype and one.tobytes() == other.tobytes()
    if isinstance(one, dict):
        return isinstance(other, dict) and list(one) == list(other) and all(same(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple):
        return type(one) is type(other) and len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float):
        return type(other) is float and (one.hex() == other.hex() or (math.isnan(one) and math.isnan(other)))
    return type(one) is type(other) and bool(one == other)


def there_and_back(value: object, model: ArrayRecord) -> object:
    encoder = Encoder(model)
    encoded = json.loads(json.dumps(encoder.encode(value), allow_nan=False))
    return decode(encoded, encoder.arrays, model)


@settings(max_examples=100, deadline=None)
@given(values)
def test_any_plain_state_comes_back_bit_for_bit(value: object) -> None:
    assert same(value, there_and_back(value, ArrayRecord()))


@settings(max_examples=30, deadline=None)
@given(records)
def test_records_come_back_and_the_model_is_kept_once(content: dict[str, Any]) -> None:
    record = ArrayRecord({name: Array(array) for name, array in content.items()})
    encoder = Encoder(record)
    assert encoder.encode({"model": record}) == {"dict": [["model", {"model": True}]]}
    assert encoder.arrays == {}
    assert decode({"model": True}, {}, record) is record
    back = there_and_back(record, ArrayRecord())
    assert isinstance(back, ArrayRecord)
    assert list(back) == list(record)
    for name, array in back.items():
        np.testing.assert_array_equal(array.numpy(), content[name], strict=True)


@pytest.mark.parametrize("value", [object(), {1, 2}, [lambda: 1], np.array([{}]), {"a": object()}])
def test_what_cannot_be_carried_is_refused(value: object) -> None:
    with pytest.raises(UnknownValueError):
        Encoder(ArrayRecord()).encode(value)


@pytest.mark.parametrize(
    "encoded",
    [
        {},
        {"array": "state/7"},
        {"array": {}},
        {"pickle": "x"},
        {"list": 3},
        {"dict": [1]},
        {"float": "one"},
        {"record": [["a", "state/7"]]},
        {"list": [], "dict": []},
        {"dict": [[{"list": []}, 1]]},
    ],
)
def test_what_no_encoder_has_written_is_refused(encoded: object) -> None:
    with pytest.raises(ValueError, match=r"state of the strategy|float"):
        decode(encoded, {}, ArrayRecord())
