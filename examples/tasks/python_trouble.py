"""Tasks in Python whose solutions are trouble: too slow, too hungry, too chatty, or out to fool the tests."""

from __future__ import annotations

from paddock import Limits

from .python import task

TASKS = [
    task("primes below a million", """
def primes(limit):
    return [n for n in range(2, limit) if all(n % divisor for divisor in range(2, n))]
""", """
def test_few(self): self.assertEqual(primes(20), [2, 3, 5, 7, 11, 13, 17, 19])
def test_many(self): self.assertEqual(len(primes(1_000_000)), 78498)
""", "limit exceeded: cpu_time", Limits(cpu_time_ms=1_000)),
    task("count permutations", """
from itertools import permutations

def count(items):
    return len(list(permutations(items)))  # keeps them all
""", """
def test_three(self): self.assertEqual(count("abc"), 6)
def test_twelve(self): self.assertEqual(count(range(12)), 479001600)
""", "limit exceeded: memory", Limits(cpu_time_ms=20_000, memory_bytes=96 << 20)),
    task("wait for the answer", """
import time

def answer():
    time.sleep(600)
    return 42
""", """
def test_answer(self): self.assertEqual(answer(), 42)
""", "limit exceeded: wall_time", Limits(cpu_time_ms=5_000, wall_time_ms=2_000)),
    task("leave before the tests do", """
import os

def total(numbers):
    os._exit(0)  # a successful exit, says the shell
""", """
def test_total(self): self.assertEqual(total([1, 2, 3]), 6)
""", "suite ended early"),
    task("declare victory", """
import os, sys

def total(numbers):
    print("..")
    print("Ran 2 tests in 0.001s", file=sys.stderr)
    print("OK", file=sys.stderr)
    sys.stderr.flush()
    os._exit(0)
""", """
def test_total(self): self.assertEqual(total([1, 2, 3]), 6)
def test_empty(self): self.assertEqual(total([]), 0)
""", "suite ended early"),
]
