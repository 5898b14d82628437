"""What depends on the task alone: the path behind a base URL, the request that preflight sends, and which names there are."""

from __future__ import annotations

import pytest

import basetenkit as bk
from basetenkit.config.addresses import completed
from basetenkit.config.scenarios import parse_scenario
from basetenkit.config.tasks import TASKS, Task


@pytest.mark.parametrize("task", TASKS.values(), ids=lambda task: task.name)
def test_each_task_has_a_path_and_a_scenario_of_its_own(task: Task) -> None:
    assert completed("https://models.example.org/v1", task.name, False) == f"https://models.example.org/v1{task.route}"
    assert task.name in parse_scenario(task.probe).tasks
    assert bk.RunConfig(endpoint="http://127.0.0.1:9/v1", task=task.name).task == task.name


@pytest.mark.parametrize("task", ["text-to-poems", "", None, 3, ["text-to-text"]])
def test_any_other_name_is_told_with_those_that_there_are(task: object) -> None:
    with pytest.raises(bk.errors.ConfigError, match="should be 'text-to-text', 'image-text-to-text' or 'text-to-emb"):
        bk.RunConfig(endpoint="http://127.0.0.1:9/v1", task=task)
