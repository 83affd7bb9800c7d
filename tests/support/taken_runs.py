"""Documents at the edges of what is taken, by the reader and by the API server."""

from __future__ import annotations

from support.cases import ABSENT, Document
from support.run_documents import a_volume, run_case

_TAKEN: dict[str, Document] = {
        "small": {},
        "a foreign image": {"spec.training": ABSENT, "spec.trainer": {"image": "a/b:c"}},
        "a foreign command": {"spec.training": ABSENT, "spec.trainer": {"command": ["train"]}},
        "a foreign image, progress switched off": {
            "spec.training": ABSENT,
            "spec.trainer": {"image": "a"},
            "spec.progressDeadlineSeconds": 0,
        },
        "no budget": {"spec.budget": ABSENT},
        "the largest budget": {"spec.budget.limitUSD": "1000000.000000"},
        "the smallest budget": {"spec.budget.limitUSD": "0.000001"},
        "zeros before a budget": {"spec.budget.limitUSD": "0000012"},
        "every setting of a pod": {
            "spec.trainer": {
                "nodeSelector": {"zone": "a", "example.com/disk": "", "kubernetes.io/arch": "amd64"},
                "tolerations": [
                    {"operator": "Exists"},
                    {"key": "gpu", "value": "yes", "effect": "NoSchedule"},
                    {"key": "gpu", "operator": "Exists", "value": ""},
                    {"key": "example.com/spot", "effect": "NoExecute", "tolerationSeconds": 60},
                ],
                "imagePullSecrets": [{"name": "registry"}, {"name": "registry.other"}],
                "imagePullPolicy": "IfNotPresent",
                "volumes": [a_volume(), a_volume(name="more", mountPath="/mnt/.cache/a..b", readOnly=False)],
            }
        },
        "a Secret's value": {
            "spec.trainer.env": [{"name": "T", "valueFrom": {"secretKeyRef": {"name": "s.t", "key": "a_B.c-d"}}}]
        },
        "a variable without value": {"spec.trainer.env": [{"name": "T"}]},
        "a folder beside a taken one": {"spec.trainer.volumes": [a_volume(mountPath="/runs-of-mine")]},
        "epochs": {"spec.training.maxSteps": ABSENT, "spec.training.maxEpochs": 2},
        "a warm-up as long as the run": {"spec.training.schedule": {"warmupSteps": 100}},
        "a warm-up of a run of epochs": {
            "spec.training.maxSteps": ABSENT,
            "spec.training.maxEpochs": 1,
            "spec.training.schedule": {"warmupSteps": 10_000},
        },
        "half of the text held back": {
            "spec.training.data": {"files": ["*.txt"], "validationFraction": 0.25, "testFraction": 0.25}
        },
        "dropout switched off in words": {
            "spec.training.tokenizer": {"type": "Character"},
            "spec.training.subwordDropout": 0,
            "spec.training.subwordDropoutFinal": 0.0,
        },
        "the default written out": {"spec.training.schedule": {"type": "Cosine", "decayFraction": 0.2}},
        "a fall": {"spec.training.schedule": {"type": "WarmupStableDecay", "decayFraction": 1}},
        "bytes": {"spec.training.tokenizer": {"type": "Byte", "byteFallback": True}},
        "byte fallback": {"spec.training.tokenizer": {"byteFallback": True, "vocabSize": 300}},
        "heads of their own size": {"spec.training.model": {"heads": 5, "headSize": 10}},
        "a preset's heads": {"spec.training.model": {"preset": "gpt-124m", "embeddingSize": 144}},
        "a preset's size of heads": {"spec.training.model": {"preset": "gemma-2b", "heads": 7, "kvHeads": 7}},
        "no rotation": {"spec.training.model": {"rotaryFraction": 0, "headSize": 3}},
        "whole numbers for shares": {"spec.training.optimizer": {"weightDecay": 0, "beta1": 0}},
        "tiny numbers": {"spec.training.optimizer": {"epsilon": 1e-300, "learningRate": 3e-4}},
        "storage of no kind": {"spec.storage": {}},
        "ephemeral storage": {"spec.storage": {"ephemeral": {}}},
        "a bucket": {"spec.storage": {"s3": {"bucket": "runs", "prefix": "a/b/", "secretName": "s3"}}},
        **{
            f"checkpoints named {pattern}": {"spec.trainer.command": ["mine"], "spec.checkpoints": {"pattern": pattern}}
            for pattern in ("checkpoint-*", "ckpt/*.pt", "a/b_c/epoch=*-step=*.ckpt", "step????", "*-model")
        },
        "null for nothing": {"spec.activeDeadlineSeconds": None, "spec.training.maxEpochs": None},
        "text of another script": {"spec.training.samples": {"prompt": "тест \U0001f600\n"}},
        "every place": {"spec.placement": {"gpuTypes": ["L40S"], "regions": ["a", "b"], "maxHourlyPriceUSD": "0"}},
}  # fmt: skip
TAKEN = tuple(run_case(name=name, changes=changes) for name, changes in _TAKEN.items())
