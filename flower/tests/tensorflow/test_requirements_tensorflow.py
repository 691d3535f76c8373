import test_requirements as locks

TENSORFLOW = locks.pins("requirements-tensorflow.lock")


def test_tensorflow_needs_nothing_that_is_not_locked() -> None:
    assert locks.unmet({**locks.GUEST, **TENSORFLOW}, TENSORFLOW) == []


def test_the_environment_is_the_locked_one() -> None:
    assert locks.differing({**locks.GUEST, **TENSORFLOW}) == {}


def test_no_package_is_locked_twice() -> None:
    assert not set(locks.GUEST) & set(TENSORFLOW)
