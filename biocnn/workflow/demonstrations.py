"""Simulations of the data of all demonstrations, by name."""

from biocnn.workflow.simulate import simulate_cells, simulate_nuclei, simulate_sequences
from biocnn.workflow.simulate_biopsies import simulate_biopsies
from biocnn.workflow.simulate_coverage import simulate_coverage
from biocnn.workflow.simulate_leukocytes import simulate_leukocytes

MAKERS = {
    "sequences": simulate_sequences,
    "coverage": simulate_coverage,
    "nuclei": simulate_nuclei,
    "cells": simulate_cells,
    "leukocytes": simulate_leukocytes,
    "biopsies": simulate_biopsies,
}
