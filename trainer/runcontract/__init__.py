"""What the trainer and whatever runs it agree on, and nothing else.

An order goes in (`runcontract.order`); progress reports, checkpoints with manifests, results and an exit code come out.
Both sides import this package; it imports neither of them. It needs pydantic and PyYAML only, so that the operator's
image stays free of torch and the trainer's image free of kopf.
"""
