"""Counting what a call does, so that a test can hold how its cost grows without a clock."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


def count_steps(call: Callable[[], object]) -> int:
    """Returns the number of instructions that Python executes in a call, on this thread."""
    steps = 0

    def trace(frame: FrameType, event: str, _: Any) -> Callable[..., Any]:  # noqa: ANN401 - what `settrace` demands
        nonlocal steps
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        steps += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return steps


def growth_of(make: Callable[[int], Callable[[], object]], size: int) -> float:
    """Returns how many times the instructions of a call grow from a size to twice the size; 2 is linear.

    `make` prepares the call for a size; what it does itself is not counted.
    """
    make(size)()  # what is computed once in a process
    small, large = (count_steps(make(number)) for number in (size, 2 * size))
    return large / small
