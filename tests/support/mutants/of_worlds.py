"""Faults where decisions are carried out: what is recorded before it is done, and the deadlines that Jobs and supervisors keep."""

from __future__ import annotations

from support.mutants.mutant import Mutant

_LOOP = "operator/lightcompute/loop.py"
_BACKEND = "operator/lightcompute/kube/backend.py"
_CHILDREN = "operator/lightcompute/kube/children.py"
_PERFORMING = "operator/lightcompute/kube/performing.py"
_JOB = "operator/lightcompute/kube/manifests/attempt.py"
_STORE = "operator/lightcompute/local/store.py"
_SUPERVISOR = "operator/lightcompute/local/supervisor.py"
_ATTEMPTS = "operator/lightcompute/local/attempts.py"
_OF_LOOKS = ("tests/loop/test_one_look.py",)
_OF_DEADLINES = (
    "tests/kube/unit/test_deadlines_of_jobs.py",
    "tests/kube/unit/test_jobs_that_a_queue_admits.py",
)
_OF_MANIFESTS = (
    "tests/kube/unit/test_children_of_an_attempt.py",
    "tests/kube/unit/test_pods_of_an_attempt.py",
)
_OF_ENDS = (
    "tests/kube/unit/test_how_an_attempt_is_seen_to_end.py",
    "tests/kube/unit/test_what_an_attempt_waits_for.py",
    "tests/kube/unit/test_what_is_not_certain_is_alive.py",
)
_OF_BEGINNINGS = ("tests/kube/unit/test_when_a_pod_begins_to_cost.py",)
_OF_WRITES = ("tests/kube/unit/test_a_status_is_written_over_what_was_seen_only.py",)
_OF_SUPERVISORS = ("tests/local/test_the_supervisor_needs_nobody.py",)
_OF_SEEN_ATTEMPTS = ("tests/local/test_what_is_seen_of_an_attempt_is_certain.py",)

OF_WORLDS: tuple[Mutant, ...] = (
    Mutant(
        name="done-before-it-is-recorded",
        file=_LOOP,
        old="    if changed:\n        run = await backend.record(run, decision.status)\n",
        new="""    for action in decision.actions:
        await backend.perform(run, action)
    if changed:
        run = await backend.record(run, decision.status)
""",
        breaks="After a crash between the two something costs money that no ledger knows.",
        tests=_OF_LOOKS,
    ),
    Mutant(
        name="a-conflict-is-passed-over",
        file=_LOOP,
        old="        run = await backend.record(run, decision.status)\n",
        new="""        try:
            run = await backend.record(run, decision.status)
        except Conflict:
            pass
""",
        breaks="What was decided about an older run is done though it could not be recorded.",
        tests=_OF_LOOKS,
    ),
    Mutant(
        name="a-status-is-written-over-any-version",
        file=_BACKEND,
        old='                "resourceVersion": metadata.resource_version,\n            },\n            "status"',
        new='            },\n            "status"',
        breaks="A write that comes late takes segments out of the ledger.",
        tests=_OF_WRITES,
    ),
    Mutant(
        name="after-a-conflict-the-same-version-is-written-again",
        file=_BACKEND,
        old="""        except Conflict:
            await self._look_again(run)
            raise
        except PermanentFault:
            self.placing""",
        new="""        except Conflict:
            raise
        except PermanentFault:
            self.placing""",
        breaks="Where the watch is behind, nothing is recorded until it has caught up.",
        tests=_OF_WRITES,
    ),
    Mutant(
        name="a-write-without-an-answer-counts-as-none",
        file=_BACKEND,
        old="            self._unsure.add(metadata.uid)\n",
        new="            pass\n",
        breaks="What was recorded is decided anew, from a run that is no more.",
        tests=_OF_WRITES,
    ),
    Mutant(
        name="a-lost-cluster-counts-as-empty",
        file=_BACKEND,
        old="            state=ChildState.UNKNOWN,\n            start_time=attempt.start_time,\n",
        new="            state=ChildState.VANISHED,\n            start_time=attempt.start_time,\n",
        breaks="What may be alive in a cluster that cannot be reached is not charged on.",
        tests=("tests/kube/unit/test_attempts_in_a_cluster_that_is_away.py",),
    ),
    Mutant(
        name="a-conflict-is-any-fault",
        file="operator/lightcompute/kube/faults.py",
        old="        case 409:\n            return Conflict(message)\n",
        new="",
        breaks="The newer run is not read, and the look waits ever longer.",
        tests=("tests/kube/unit/test_faults_of_an_api_server.py",),
    ),
    Mutant(
        name="an-older-version-of-a-run-is-news",
        file="operator/lightcompute/kube/runs.py",
        old="        if known is not None and not is_newer(version, known.version):\n",
        new="        if known is not None and version == known.version:\n",
        breaks="A watch that is behind brings an older ledger back.",
        tests=("tests/kube/unit/test_newest_versions_of_runs.py",),
    ),
    Mutant(
        name="a-job-has-no-deadline",
        file=_JOB,
        old='        spec["activeDeadlineSeconds"] = max(1, start.deadline_seconds)\n',
        new="        pass\n",
        breaks="The cap needs the operator.",
        tests=_OF_MANIFESTS,
    ),
    Mutant(
        name="a-job-tries-again-by-itself",
        file=_JOB,
        old='        "backoffLimit": 0,\n',
        new='        "backoffLimit": 6,\n',
        breaks="Pods are made that no decision knows.",
        tests=_OF_MANIFESTS,
    ),
    Mutant(
        name="a-job-replaces-pods-that-are-leaving",
        file=_JOB,
        old='        "podReplacementPolicy": "Failed",\n',
        new='        "podReplacementPolicy": "TerminatingOrFailed",\n',
        breaks="Two pods of one rank are charged as one.",
        tests=_OF_MANIFESTS,
    ),
    Mutant(
        name="a-pod-has-more-grace-than-the-reserve",
        file="operator/lightcompute/kube/manifests/pod.py",
        old='"terminationGracePeriodSeconds": start.grace_seconds,',
        new='"terminationGracePeriodSeconds": 2 * start.grace_seconds,',
        breaks="A pod that takes all of its grace to die passes the cap.",
        tests=_OF_MANIFESTS,
    ),
    Mutant(
        name="a-trainer-in-a-pod-is-told-no-time",
        file="operator/lightcompute/kube/manifests/program.py",
        old="        ours[environment.STOP_AFTER_SECONDS] = str(start.stop_after_seconds)\n",
        new="        pass\n",
        breaks="The trainer is ended by its Job before it has saved.",
        tests=_OF_MANIFESTS,
    ),
    Mutant(
        name="renewed-as-if-a-job-started-with-its-pods",
        file=_PERFORMING,
        old="max(1, deadline_seconds + late_seconds(job, recorded.start_time))",
        new="max(1, deadline_seconds)",
        breaks="A Job that waited for a node ends its pods too early.",
        tests=_OF_DEADLINES,
    ),
    Mutant(
        name="read-as-if-a-job-started-with-its-pods",
        file=_CHILDREN,
        old="return job.active_deadline_seconds - late_seconds(job, seen.scheduled_time)",
        new="return job.active_deadline_seconds",
        breaks="A Job that waited for a node is renewed at every look.",
        tests=_OF_DEADLINES,
    ),
    Mutant(
        name="a-job-that-goes-on-keeps-its-clock",
        file=_CHILDREN,
        old="return seconds if job.queue else max(0, seconds)",
        new="return max(0, seconds)",
        breaks="A Job that its queue lets in again has its whole deadline anew.",
        tests=_OF_DEADLINES,
    ),
    Mutant(
        name="a-deadline-that-is-over-is-refused",
        file=_PERFORMING,
        old="max(1, deadline_seconds + late",
        new="(deadline_seconds + late",
        breaks="The server refuses the end of an attempt whose cap was lowered below what is spent.",
        tests=_OF_DEADLINES,
    ),
    Mutant(
        name="a-pod-costs-from-the-start-of-its-program",
        file=_CHILDREN,
        old="        start_time=seen.scheduled_time,\n",
        new="        start_time=seen.began_time,\n",
        breaks="A GPU that is held while the image is pulled is free.",
        tests=_OF_BEGINNINGS,
    ),
    Mutant(
        name="a-pod-costs-from-its-kubelets-word",
        file="operator/lightcompute/kube/observed.py",
        old='        return _time(scheduled.get("lastTransitionTime"))\n',
        new='        return _time(status.get("startTime"))\n',
        breaks="A GPU that is held on a node that does not answer yet is free.",
        tests=_OF_BEGINNINGS,
    ),
    Mutant(
        name="the-first-pods-wait-for-the-last-is-free",
        file=_CHILDREN,
        old="        return min((time for time in times if time is not None), default=None)\n",
        new="        return max((time for time in times if time is not None), default=None)\n",
        breaks="Pods that wait for the others hold their GPUs for nothing.",
        tests=_OF_BEGINNINGS,
    ),
    Mutant(
        name="a-pod-that-is-leaving-is-gone",
        file=_CHILDREN,
        old="        if not all(pod.is_over for pod in self.pods):\n",
        new="        if not all(pod.is_over or pod.deleting for pod in self.pods):\n",
        breaks="The time of grace is free, and another attempt starts beside it.",
        tests=_OF_ENDS,
    ),
    Mutant(
        name="an-attempt-ends-with-its-first-pod",
        file="operator/lightcompute/kube/endings.py",
        old="        return max(ends, default=job_end)\n",
        new="        return min(ends, default=job_end)\n",
        breaks="GPUs of ranks that ended later are free.",
        tests=_OF_ENDS,
    ),
    Mutant(
        name="a-pod-ends-with-its-first-container",
        file="operator/lightcompute/kube/observed.py",
        old="    return max((end for end in ends if end is not None), default=None)\n",
        new="    return min((end for end in ends if end is not None), default=None)\n",
        breaks="A GPU that a sidecar holds on to is free.",
        tests=_OF_ENDS,
    ),
    Mutant(
        name="a-local-status-is-written-over-any-version",
        file=_STORE,
        old="            if _version(self._read_raw_status()) != version:\n",
        new="            if version is None:\n",
        breaks="A write that comes late takes segments out of the ledger.",
        tests=("tests/local/test_a_run_has_one_writer.py",),
    ),
    Mutant(
        name="a-supervisor-keeps-no-deadline",
        file=_SUPERVISOR,
        old="        if limit is not None and now >= self._begin + limit:\n",
        new="        if limit is None and now < self._begin:\n",
        breaks="The cap needs the controller.",
        tests=_OF_SUPERVISORS,
    ),
    Mutant(
        name="a-deadline-begins-anew-with-new-terms",
        file=_SUPERVISOR,
        old="            self._terms = records.read_terms(self._folder) or self._terms\n",
        new="""            known, self._terms = self._terms, records.read_terms(self._folder) or self._terms
            self._begin = self._begin if known == self._terms else time.clock_gettime(_CLOCK)
""",
        breaks="Each renewal gives the whole time again.",
        tests=_OF_SUPERVISORS,
    ),
    Mutant(
        name="a-supervisor-asks-and-does-not-kill",
        file=_SUPERVISOR,
        old="        _signal_group(self._pid)\n        return 1.0\n",
        new="        return 1.0\n",
        breaks="A trainer that does not listen passes the cap.",
        tests=_OF_SUPERVISORS,
    ),
    Mutant(
        name="a-local-deadline-is-not-renewed",
        file=_ATTEMPTS,
        old="            self._change(known, replace(known, deadline_seconds=seconds))\n",
        new="            self._change(known, known)\n",
        breaks="A new deadline is in the status, and the old one with the supervisor.",
        tests=_OF_SEEN_ATTEMPTS,
    ),
    Mutant(
        name="a-supervisor-that-died-cost-nothing",
        file=_ATTEMPTS,
        old="finished_time=max(self._last_sign_of_life(), started.started_time)",
        new="finished_time=started.started_time",
        breaks="A machine that lost its power trained for nothing.",
        tests=_OF_SEEN_ATTEMPTS,
    ),
    Mutant(
        name="a-local-trainer-is-told-no-time",
        file="operator/lightcompute/local/command.py",
        old='        "" if stop_after_seconds is None else str(stop_after_seconds)\n',
        new='        ""\n',
        breaks="The trainer is ended by its supervisor before it has saved.",
        tests=("tests/local/test_what_a_trainer_is_told.py",),
    ),
)
