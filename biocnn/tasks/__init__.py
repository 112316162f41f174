"""What is asked of the data: how truth is learned, decided, judged and shown. One file for each task."""

from biocnn.tasks.task import Task, make_task

__all__ = ["Task", "make_task"]
