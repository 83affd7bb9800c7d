"""A small trainer of GPT models that obeys a written order and leaves receipts."""
