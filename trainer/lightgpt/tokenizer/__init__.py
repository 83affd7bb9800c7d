"""Tokenizers: text to numbers and back. numpy and SentencePiece only, so that `lightgpt data` starts without PyTorch."""
