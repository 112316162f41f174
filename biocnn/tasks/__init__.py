"""What is asked of the data: how truth is stored, learned, judged and shown."""
