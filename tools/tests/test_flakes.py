"""The busy loops end, and a failed test is named."""

import asyncio
import subprocess
import sys
from pathlib import Path

import flakes
import pytest

PARENT = """
import signal, flakes
with flakes.busy_loops(1):
    print("running", flush=True)
    signal.pause()
"""


def test_the_loops_run_within_the_block_also_when_it_is_interrupted():
    with pytest.raises(KeyboardInterrupt), flakes.busy_loops(2) as loops:
        assert [loop.poll() for loop in loops] == [None, None]
        raise KeyboardInterrupt
    assert None not in [loop.returncode for loop in loops]


async def test_a_loop_ends_when_its_parent_is_killed():
    folder = Path(flakes.__file__).parent
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", PARENT, cwd=folder, stdout=subprocess.PIPE)
    assert parent.stdout
    assert await parent.stdout.readline() == b"running\n"
    parent.kill()
    # Its output ends when the loop, which has the same, is gone too.
    async with asyncio.timeout(60):
        await parent.communicate()


def test_failed_tests_are_named_as_pytest_names_them():
    output = [
        "tests/test_a.py .F\n",
        "FAILED tests/test_a.py::test_one[The answers, by code: A] - AssertionError: nobody\n",
        "FAILED tests/test_a.py::test_two\n",
        "ERROR tests/test_b.py - ImportError\n",
        "E       FAILED is not at the start\n",
        "2 failed, 1 passed in 1.00s\n",
    ]
    assert flakes.failed_tests(output) == {
        "tests/test_a.py::test_one[The answers, by code: A]",
        "tests/test_a.py::test_two",
        "tests/test_b.py",
    }
