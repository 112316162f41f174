"""Simulations of the data of all demonstrations, by name."""

from biocnn.workflow.simulate import simulate_cells, simulate_nuclei, simulate_sequences
from biocnn.workflow.simulate_biopsies import simulate_biopsies
from biocnn.workflow.simulate_leukocytes import simulate_leukocytes

MAKERS = {
    "sequences": simulate_sequences,
    "nuclei": simulate_nuclei,
    "cells": simulate_cells,
    "leukocytes": simulate_leukocytes,
    "biopsies": simulate_biopsies,
}
