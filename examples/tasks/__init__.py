"""The demo's coding tasks: small ones of the kind a model is given, each with its unit tests, some solved wrongly.

A task says which verdict it must get. Tests of Python tasks are unittest's; those of the others print TAP.
"""

from __future__ import annotations

from dataclasses import dataclass

from paddock import Job


@dataclass(frozen=True)
class Task:
    name: str
    language: str
    #: What it must come to, in the words of `verdict.verdict`.
    expected: str
    job: Job
    #: A program that has to be in the image.
    needs: str


def all_tasks() -> list[Task]:
    from . import compiled, python, python_trouble, scripts

    return [*python.TASKS, *python_trouble.TASKS, *compiled.TASKS, *scripts.TASKS]
