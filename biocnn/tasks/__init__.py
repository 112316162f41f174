"""Tasks: how the ground truth is learned, decided, evaluated and displayed. One file per task."""

from biocnn.tasks.task import Task, make_task

__all__ = ["Task", "make_task"]
