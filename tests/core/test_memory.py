"""Estimates of memory, compared with the growth of a process."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from biocnn.core.memory import PeakBytes, bytes_per

PROCESS = """
from pathlib import Path
import torch
from biocnn.core.memory import bytes_per
from biocnn.models import UNet
torch.set_num_threads(1)
network = UNet(2, 1, 2, channels=[16, 32]).eval().to(memory_format=torch.channels_last)
@torch.inference_mode()
def run(n):
    return network(torch.zeros(1, 1, 512, n)).softmax(1)
estimated = bytes_per(run, 32) * 1024
def peak():  # in bytes; unlike getrusage, of this process alone, not of the one that started it
    return 1024 * int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
before = peak()
run(1024)
print(estimated, peak() - before)
"""


def test_peak_counts_tensors_that_are_alive_at_once() -> None:
    given = torch.zeros(1000)
    with PeakBytes() as measured:
        first = given + 1
        second = first.view(10, 100) + 1
        del first
        second.relu_()
        _ = second + 1
    assert measured.peak == 2 * 4000
    with PeakBytes() as measured:
        given.add_(1)
        given[:500].view(5, 100)
    assert measured.peak == 0


def test_fixed_memory_hardly_matters() -> None:
    found = bytes_per(lambda n: (torch.zeros(10**6), torch.zeros(n, dtype=torch.float64)), 1)
    assert 8 < found < 1.15 * 8
    assert bytes_per(lambda n: torch.zeros(n, 100), 1) == 400


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the kernel does not report memory use")
def test_a_process_grows_by_the_estimate() -> None:
    done = subprocess.run([sys.executable, "-c", PROCESS], capture_output=True, text=True, check=True)
    estimated, grown = map(float, done.stdout.split())
    assert 0.75 * estimated < grown < 1.35 * estimated, "the allocator keeps or reuses some memory"
