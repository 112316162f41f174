"""What everything else stands on: errors, files, locks, memory, processes."""
