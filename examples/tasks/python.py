"""Tasks in Python: solutions that are right, and some that look right."""

from __future__ import annotations

from paddock import Job, Labels, Limits, Tests

from . import Task


def task(
    name: str, solution: str, checks: str, expected: str = "passed", limits: Limits = Limits(cpu_time_ms=5_000)
) -> Task:
    """`checks` are the bodies of a TestCase's methods."""
    suite = "import unittest\nfrom solution import *\n\nclass Suite(unittest.TestCase):\n"
    suite += "\n".join(f"    {line}" if line else "" for line in checks.strip().splitlines())
    job = Job(
        tests=Tests("unittest"), files={"solution.py": solution, "test_solution.py": suite + "\n"}, limits=limits,
        labels=Labels(rollout=name, group="python"))
    return Task(name, "Python", expected, job, "python3")


TASKS = [
    task("roman numerals", """
STEPS = [(1000, "M"), (900, "CM"), (500, "D"), (400, "CD"), (100, "C"), (90, "XC"), (50, "L"), (40, "XL"), (10, "X"),
         (9, "IX"), (5, "V"), (4, "IV"), (1, "I")]

def roman(number):
    text = ""
    for value, letters in STEPS:
        while number >= value:
            text, number = text + letters, number - value
    return text
""", """
def test_small(self): self.assertEqual([roman(n) for n in (1, 4, 9, 14)], ["I", "IV", "IX", "XIV"])
def test_year(self): self.assertEqual(roman(1994), "MCMXCIV")
def test_all_differ(self): self.assertEqual(len({roman(n) for n in range(1, 4000)}), 3999)
"""),
    task("least recently used cache", """
from collections import OrderedDict

class Cache:
    def __init__(self, size):
        self.size, self.items = size, OrderedDict()

    def get(self, key, default=None):
        if key not in self.items:
            return default
        self.items.move_to_end(key)
        return self.items[key]

    def put(self, key, value):
        self.items[key] = value
        self.items.move_to_end(key)
        if len(self.items) > self.size:
            self.items.popitem(last=False)
""", """
def test_evicts_the_oldest(self):
    cache = Cache(2)
    cache.put("a", 1); cache.put("b", 2); cache.put("c", 3)
    self.assertIsNone(cache.get("a"))
    self.assertEqual(cache.get("c"), 3)

def test_reading_keeps_alive(self):
    cache = Cache(2)
    cache.put("a", 1); cache.put("b", 2); cache.get("a"); cache.put("c", 3)
    self.assertEqual((cache.get("a"), cache.get("b")), (1, None))
"""),
    task("merge intervals", """
def merge(intervals):
    merged = []
    for start, end in sorted(intervals):
        if merged and start <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], end)
        else:
            merged.append([start, end])
    return [tuple(one) for one in merged]
""", """
def test_overlap(self): self.assertEqual(merge([(1, 3), (2, 6), (8, 10)]), [(1, 6), (8, 10)])
def test_touching(self): self.assertEqual(merge([(4, 5), (1, 4)]), [(1, 5)])
def test_inside(self): self.assertEqual(merge([(1, 9), (2, 3)]), [(1, 9)])
def test_none(self): self.assertEqual(merge([]), [])
"""),
    task("topological sort", """
def order(needs):
    done, path, result = set(), set(), []

    def visit(node):
        if node in path:
            raise ValueError(f"{node} needs itself")
        if node not in done:
            path.add(node)
            for other in sorted(needs.get(node, ())):
                visit(other)
            path.remove(node)
            done.add(node)
            result.append(node)

    for node in sorted(needs):
        visit(node)
    return result
""", """
def test_before(self):
    ordered = order({"app": {"lib", "log"}, "lib": {"core"}, "log": {"core"}})
    self.assertEqual(ordered, ["core", "lib", "log", "app"])

def test_cycle(self):
    with self.assertRaises(ValueError):
        order({"a": {"b"}, "b": {"a"}})
"""),
    task("expression evaluator", """
import re

def evaluate(text):
    tokens = re.findall(r"\\d+|[-+*/()]", text)

    def factor():
        token = tokens.pop(0)
        if token == "(":
            value = total()
            tokens.pop(0)
            return value
        return -factor() if token == "-" else int(token)

    def product():
        value = factor()
        while tokens and tokens[0] in "*/":
            value = value * factor() if tokens.pop(0) == "*" else value // factor()
        return value

    def total():
        value = product()
        while tokens and tokens[0] in "+-":
            value = value + product() if tokens.pop(0) == "+" else value - product()
        return value

    return total()
""", """
def test_precedence(self): self.assertEqual(evaluate("2 + 3 * 4"), 14)
def test_brackets(self): self.assertEqual(evaluate("(2 + 3) * -(4 - 6)"), 10)
def test_left_to_right(self): self.assertEqual(evaluate("20 - 5 - 3"), 12)
def test_by_zero(self):
    with self.assertRaises(ZeroDivisionError): evaluate("1 / (2 - 2)")
"""),
    task("longest common subsequence", """
def longest(one, other):
    row = [""] * (len(other) + 1)
    for a in one:
        before = ""
        for at, b in enumerate(other):
            kept = row[at + 1]
            row[at + 1] = before + a if a == b else max(row[at + 1], row[at], key=len)
            before = kept
    return row[-1]
""", """
def test_words(self): self.assertEqual(longest("AGGTAB", "GXTXAYB"), "GTAB")
def test_nothing(self): self.assertEqual(longest("abc", "xyz"), "")
def test_same(self): self.assertEqual(longest("sandbox", "sandbox"), "sandbox")
"""),
    task("binary search", """
def search(items, wanted):
    low, high = 0, len(items) - 1
    while low < high:  # never looks at the last one left
        middle = (low + high) // 2
        if items[middle] < wanted:
            low = middle + 1
        elif items[middle] > wanted:
            high = middle - 1
        else:
            return middle
    return -1
""", """
def test_middle(self): self.assertEqual(search([1, 3, 5, 7, 9], 5), 2)
def test_absent(self): self.assertEqual(search([1, 3, 5], 4), -1)
def test_only_one(self): self.assertEqual(search([7], 7), 0)
""", "tests failed"),
    task("leap years", """
def is_leap(year):
    return year % 4 == 0
""", """
def test_plain(self): self.assertTrue(is_leap(2024))
def test_century(self): self.assertFalse(is_leap(1900))
def test_four_centuries(self): self.assertTrue(is_leap(2000))
""", "tests failed"),
    task("median", """
def median(numbers):
    middle = len(numbers) // 2
    return numbers[middle] if len(numbers) % 2 else (numbers[middle - 1] + numbers[middle]) / 2
""", """
def test_sorted(self): self.assertEqual(median([1, 2, 3]), 2)
def test_even(self): self.assertEqual(median([1, 2, 3, 4]), 2.5)
def test_unsorted(self): self.assertEqual(median([9, 1, 5]), 5)
""", "tests failed"),
]
