"""HTML reports and figures of experiments."""

from biocnn.report.page import write_report
from biocnn.report.summary import write_summary

__all__ = ["write_report", "write_summary"]
