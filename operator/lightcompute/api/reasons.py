"""Every reason a status can give, each with the sentence that explains it.

One file, so that a reason in a status, an event, a log line or `explain` can be looked up: `docs/troubleshooting.md` has one
anchor for each, held equal to this file by a test.
"""

from __future__ import annotations

from lightcompute.api.words import Word


class Reason(Word):
    """Why: the CamelCase word in conditions, attempts, candidates and events."""

    # Taken in
    SPEC_ACCEPTED = "SpecAccepted", "The run can be carried out as written."
    SPEC_REFUSED = (
        "SpecRefused",
        "Something in the spec cannot be carried out here; nothing was started. Change the spec as the message says.",
    )
    START_REFUSED = (
        "StartRefused",
        "The place refused the attempt for good (a quota, an image, a right); nothing runs. Change the spec as the message says.",
    )
    SPEC_CHANGED = (
        "SpecChanged",
        "The spec of a failed run was changed: it is tried again from its last checkpoint, with its restarts counted anew.",
    )

    # Waiting for a place
    WAITING_FOR_PLACE = (
        "WaitingForPlace",
        "No place that the run allows is free now; all are tried again at the time in the message.",
    )
    CHOSEN = "Chosen", "The first place in the run's order that is free and within its means."
    NOT_PREFERRED = (
        "NotPreferred",
        "The place would do, but one before it in the run's order was free.",
    )
    NO_CAPACITY = "NoCapacity", "The place has too few free devices now, or took an attempt not in."
    GPU_TYPE_NOT_ALLOWED = (
        "GPUTypeNotAllowed",
        "placement.gpuTypes does not name the place's GPU type.",
    )
    REGION_NOT_ALLOWED = "RegionNotAllowed", "placement.regions does not name the place's region."
    CLUSTER_NOT_ALLOWED = (
        "ClusterNotAllowed",
        "placement.clusters does not name the place's cluster.",
    )
    NAMESPACE_NOT_ALLOWED = (
        "NamespaceNotAllowed",
        "allowedNamespaces of the TrainingCluster does not name the run's namespace.",
    )
    CLUSTER_UNREACHABLE = (
        "ClusterUnreachable",
        "The cluster does not answer now. What runs there is charged on, and is not moved before it is certainly over.",
    )
    CLUSTER_UNKNOWN = (
        "ClusterUnknown",
        "There is no TrainingCluster of the name that the attempt was placed into. Apply it again: what runs there is found again.",
    )
    ATTEMPT_ELSEWHERE = (
        "AttemptElsewhere",
        "The TrainingCluster was deleted and applied again, and leads to another cluster or namespace than the attempt is in. Apply it as it was: until then the attempt is charged on, and is not moved before it is certainly over.",
    )
    CLAIM_ELSEWHERE = (
        "ClaimElsewhere",
        "The run has trained in another cluster, and its checkpoints are on a claim there; here it would begin anew.",
    )
    CLAIM_MISSING = (
        "ClaimMissing",
        "A claim that the run names does not exist in the namespace that it would be placed into.",
    )
    TOO_LARGE = (
        "TooLarge",
        "The pool is too small for the run, even with nothing else in it and grown to maxNodes.",
    )
    QUEUED_BEHIND = (
        "QueuedBehind",
        "What is free there is kept for a run with more priority, or as much that has waited longer.",
    )
    STOCKED_OUT = (
        "StockedOut",
        "Another run of no smaller size found a short time ago that the pool takes nothing in, whatever its numbers say.",
    )
    NOT_ADMITTED = (
        "NotAdmitted",
        "Kueue has not admitted the attempt to the queue that placement.queueName names: there is no such queue, or too little quota in it. `kubectl get workloads` in the Job's namespace says which.",
    )
    PRICE_TOO_HIGH = (
        "PriceTooHigh",
        "The place costs more for an hour than placement.maxHourlyPriceUSD.",
    )
    BUDGET_TOO_SMALL = (
        "BudgetTooSmall",
        "What is left of the budget does not pay for the shortest useful time at this place's price.",
    )
    IMAGE_UNAVAILABLE = (
        "ImageUnavailable",
        "The place cannot fetch the trainer's image: check its name, its registry and the secret to pull it with. The attempt is given up after a while and another place is tried.",
    )
    POD_REFUSED = (
        "PodRefused",
        "The place does not create or configure the processes: a Secret, a claim, a quota or a rule of its own stands against them. The attempt is given up after a while and another place is tried.",
    )
    PRE_RUNNING_DEADLINE_EXCEEDED = (
        "PreRunningDeadlineExceeded",
        "No place was found within placement.preRunningDeadlineSeconds. Allow more places or a longer time.",
    )
    PLACE_REMOVED = (
        "PlaceRemoved",
        "The pool that an attempt was recorded for, or that the last one was in, is not offered any more: it was removed or renamed, or has another type or region. An attempt that had not begun is given up; one that runs goes on; the next goes to another pool.",
    )
    BACKING_OFF = (
        "BackingOff",
        "An attempt ended early; the next one starts at the time in the message.",
    )

    # Running
    ATTEMPT_STARTING = (
        "AttemptStarting",
        "An attempt is recorded and its processes are being started.",
    )
    ATTEMPT_RUNNING = "AttemptRunning", "The processes of the attempt are alive."
    ATTEMPT_STOPPING = (
        "AttemptStopping",
        "The attempt was asked to save and leave; the time of grace is running.",
    )
    CURVES_NOT_SERVED = (
        "CurvesNotServed",
        "The cluster refused the Service of TensorBoard; the run goes on without, and `lightcompute tensorboard` shows its curves all the same.",
    )
    NO_ATTEMPT = "NoAttempt", "Nothing of the run is alive, and nothing costs money."
    UNRECORDED_CHILD = (
        "UnrecordedChild",
        "Something runs in the run's name that its status does not know; it is stopped.",
    )

    # How an attempt ends
    COMPLETED = "Completed", "The trainer carried its order out to the end."
    PREEMPTED = (
        "Preempted",
        "The attempt was asked to leave by its machine, a scheduler or a person; another goes on from the last checkpoint. It does not count as a restart.",
    )
    EVICTED = (
        "Evicted",
        "The place threw the attempt out, for lack of memory or disk on its machine, or to empty it; another goes on from the last checkpoint. It does not count as a restart.",
    )
    NODE_LOST = (
        "NodeLost",
        "The attempt's machine was lost or switched off; another goes on from the last checkpoint. It does not count as a restart.",
    )
    VANISHED = (
        "Vanished",
        "The attempt is gone without an exit code, and nothing tells why; another goes on from the last checkpoint. It does not count as a restart.",
    )
    NEVER_STARTED = (
        "NeverStarted",
        "The attempt was recorded, and given up before anything ran. It costs nothing and does not count.",
    )
    TIME_OVER = (
        "TimeOver",
        "The attempt used the time that it was given and left; whether there is more is looked at again.",
    )
    OUT_OF_MEMORY = (
        "OutOfMemory",
        "Memory ran out; where the place cannot tell, that is taken for the cause of a SIGKILL. Try a smaller batchSize or more memory.",
    )
    KILLED = "Killed", "A signal ended the attempt."
    INTERNAL_ERROR = (
        "InternalError",
        "The trainer failed in a way it did not foresee; its log has the details.",
    )
    STORAGE_FAULT = (
        "StorageFault",
        "The run's folder could not be written: no space, no right, or a failing disk.",
    )
    HANG = "Hang", "The attempt reported nothing for progressDeadlineSeconds and was stopped."
    LEFT_EARLY = (
        "LeftEarly",
        "The trainer said that its time was over long before it was. It counts as a restart.",
    )
    NO_PROGRESS = (
        "NoProgress",
        "Attempt after attempt ended without a fault of its own, and without a step done; the run is given up.",
    )
    CONFIGURATION_FAULT = (
        "ConfigurationFault",
        "The trainer cannot carry out the order as written; it would end the same way again. Change spec.training as the message says.",
    )
    DATA_FAULT = (
        "DataFault",
        "The text, the data set or the tokenizer cannot be used; it would end the same way again.",
    )
    BROKEN_CHECKPOINT = (
        "BrokenCheckpoint",
        "No checkpoint could be loaded, or they belong to another configuration.",
    )
    DIVERGED = (
        "Diverged",
        "The loss became infinite or not a number; the last good checkpoint is kept. Try a lower learning rate.",
    )
    MAX_RESTARTS_EXCEEDED = (
        "MaxRestartsExceeded",
        "Attempts failed more often than failurePolicy.maxRestarts allows; the message has the last cause.",
    )
    DEADLINE_EXCEEDED = "DeadlineExceeded", "All attempts together took activeDeadlineSeconds."

    # Ended or held
    RUN_SUSPENDED = "RunSuspended", "spec.suspend is true."
    RUN_RESUMED = "RunResumed", "spec.suspend is false."
    STOPPED_BY_USER = (
        "StoppedByUser",
        "A person asked for the end of the run (`lightcompute stop`).",
    )
    RUN_DELETED = (
        "RunDeleted",
        "The run is being deleted: stopped, confirmed gone, charged, then released.",
    )
    DELETING_CHECKPOINTS = (
        "DeletingCheckpoints",
        "The run is being deleted and spec.checkpoints.whenDeleted is Delete: it stays until its checkpoints are gone from its storage.",
    )
    VERIFYING_CHECKPOINTS = (
        "VerifyingCheckpoints",
        "An attempt came to the end, and an upkeep verifies its checkpoints where they lie: the run succeeds when the newest one is whole.",
    )
    FINAL_CHECKPOINT_BROKEN = (
        "FinalCheckpointBroken",
        "The newest checkpoint of a run that came to the end was found broken where it lies. It is made again from the newest whole one, and counts as a failure.",
    )
    CHECKPOINTS_TENDED = (
        "CheckpointsTended",
        "Checkpoints of a run at rest were verified, pruned by the rule, or deleted; the message says with what outcome.",
    )
    CHECKPOINTS_NOT_TENDED = (
        "CheckpointsNotTended",
        "Verifying, pruning or deleting checkpoints failed; the message says why. Nothing else of the run depends on it but a deletion.",
    )

    # Money
    WITHIN_BUDGET = "WithinBudget", "What is left pays for going on."
    BUDGET_WARNING = (
        "BudgetWarning",
        "50, 80 or 95 % of the cap are spent; the message says how much.",
    )
    NO_BUDGET = "NoBudget", "The run has no cap."
    BUDGET_EXHAUSTED = (
        "BudgetExhausted",
        "The cap is reached but for the reserve. Raise budget.limitUSD to go on from the last checkpoint.",
    )

    WAITING_FOR_BUDGET = (
        "WaitingForBudget",
        "A TrainingBudget that the run draws from has no room for what the run reserves before it starts. It starts when there is: when others end, the next period begins, or the limit is raised.",
    )
    TRAINING_BUDGET_EXHAUSTED = (
        "TrainingBudgetExhausted",
        "A TrainingBudget that the run draws from lets the attempt go on no longer; it was asked to save and leave.",
    )
    BUDGET_ACCEPTED = "BudgetAccepted", "The TrainingBudget is kept as written."
    BUDGET_REFUSED = (
        "BudgetRefused",
        "The TrainingBudget has a fault that its schema cannot tell, such as an unknown time zone. Runs that draw from it do not start until it is mended as the message says.",
    )

    # Clusters
    CLUSTER_ACCEPTED = "ClusterAccepted", "The cluster can be used as written."
    CLUSTER_REFUSED = (
        "ClusterRefused",
        "The TrainingCluster has a fault that its schema cannot tell. Nothing is placed there until it is mended as the message says.",
    )
    UNKNOWN_GPU_TYPE = (
        "UnknownGPUType",
        "A pool names a GPU type that is not known. Mend it, or add the name with the operator's option --extra-gpu-type.",
    )
    CLUSTER_ANSWERS = "ClusterAnswers", "The cluster answers, and its nodes and pods are known."
    CLUSTER_SYNCING = (
        "ClusterSyncing",
        "The cluster answers; what is in it is being listed for the first time.",
    )
    NO_ANSWER = (
        "NoAnswer",
        "The API server of the cluster does not answer. Check the address in the kubeconfig, the network and the server.",
    )
    SECRET_MISSING = (
        "SecretMissing",
        "The Secret with the kubeconfig, or its key, does not exist in the operator's namespace, or may not be read.",
    )
    KUBECONFIG_INVALID = (
        "KubeconfigInvalid",
        "The kubeconfig in the Secret cannot be used: the message says what is wrong with it.",
    )
    EXEC_REFUSED = (
        "ExecRefused",
        "The kubeconfig wants a program to be run for its credentials. Use a token or a certificate, or switch --allow-exec-plugins on.",
    )
    EXEC_FAILED = (
        "ExecFailed",
        "The program that the kubeconfig names for its credentials gave none: it is not there, failed, took too long or printed something else. The message has its last words; it is run again every few seconds.",
    )
    CERTIFICATE_INVALID = (
        "CertificateInvalid",
        "The certificate of the API server is not signed by the authority in the kubeconfig, or is for another name.",
    )
    CREDENTIALS_REFUSED = (
        "CredentialsRefused",
        "The API server does not know the credentials: a token has expired or was revoked. Renew the Secret.",
    )
    RIGHTS_MISSING = (
        "RightsMissing",
        "The account may not do what is needed there; docs/operations.md has the manifest with all rights.",
    )
    CLUSTER_REPLACED = (
        "ClusterReplaced",
        "The kubeconfig leads to another cluster than before. Give another cluster another TrainingCluster, or delete this one first when nothing runs in it.",
    )
    POOLS_MATCH = "PoolsMatch", "Each pool has nodes, and each node one pool."
    POOLS_OVERLAP = (
        "PoolsOverlap",
        "Nodes match the selectors of two pools; they are counted for the first of them. Make the selectors exclude each other.",
    )
    POOL_EMPTY = (
        "PoolEmpty",
        "No node matches the selector of a pool, and the pool does not grow. Check the labels of the nodes.",
    )

    # What came out
    CHECKPOINT_VERIFIED = (
        "CheckpointVerified",
        "The newest checkpoint was read back and matches its hashes.",
    )
    CHECKPOINTS_BY_NAME = (
        "CheckpointsByName",
        "spec.checkpoints.pattern names the checkpoints of a trainer that follows no manifest: they are kept by the numbers in their names, and nothing verifies them.",
    )
    CHECKPOINTS_FAILING = (
        "CheckpointsFailing",
        "The newest save failed and training goes on: what was done since the checkpoint in the message is lost if the attempt ends now.",
    )
    CHECKPOINTS_SLOW = (
        "CheckpointsSlow",
        "Saves take longer than the time between them: checkpoints come later than asked for, or training stands still for them.",
    )
    NO_CHECKPOINT = "NoCheckpoint", "No verified checkpoint exists yet: a restart begins at step 0."
    TARGET_MET = "TargetMet", "The loss is at most the target."
    TARGET_NOT_MET = "TargetNotMet", "The run came to its end with a loss above the target."
    TARGET_NOT_JUDGED = "TargetNotJudged", "The run has not come to its end, so the target is not judged."  # fmt: skip


def known_reason(text: str | None, otherwise: Reason) -> Reason:
    """The reason that `text` names; `otherwise` where it names none of ours, as in a status by another version."""
    return Reason(text) if text is not None and text in Reason.__members__.values() else otherwise
