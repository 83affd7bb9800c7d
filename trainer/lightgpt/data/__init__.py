"""Text to token shards, and token shards to batches. numpy only, so that `lightgpt data` starts without PyTorch."""
