"""Figures and the HTML pages that tell what came out of an experiment."""

from biocnn.report.page import write_report
from biocnn.report.summary import write_summary

__all__ = ["write_report", "write_summary"]
