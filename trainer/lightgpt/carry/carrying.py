"""`carry`: one attempt of a foreign program, from the checkpoint that it goes on from to the one that it leaves."""

from __future__ import annotations

import time
from pathlib import Path

from lightgpt.carry import ending
from lightgpt.carry.bringing import bring, bring_beside, opened_vault
from lightgpt.carry.listening import Listener
from lightgpt.carry.program import Program
from lightgpt.carry.sending import Sender
from lightgpt.carry.terms import Terms
from lightgpt.carry.voice import Voice
from lightgpt.carry.watching import Watch
from lightgpt.checkpoint.faults import storage_fault
from lightgpt.train.requests import Requests
from lightgpt.train.stopping import StopSignals, seconds_since_process_start
from lightgpt.vault.objects import opened_bucket
from lightgpt.vault.vault import Vault
from runcontract.environment import S3_CREDENTIALS, STOP_AFTER_SECONDS
from runcontract.exit_codes import ExitCode
from runcontract.faults import ContractFault

_LOOK_SECONDS = 0.5
_REST_SECONDS = 5.0
"""How long the output of a program that has ended is waited for, where a process that it left behind holds it open."""
_LEAST_SENDING_SECONDS = 5.0


def carry(terms: Terms, signals: StopSignals) -> int:
    """The exit code of the attempt. Raises a `ContractFault` for what is wrong before the program starts."""
    voice = Voice(terms.environment.attempt)
    # Before anything is brought: what is asked for meanwhile is asked of this attempt.
    wanted = terms.environment.requests_folder
    requests = Requests(Path(wanted) if wanted else None, clock=time.monotonic)
    objects = opened_bucket(terms.bucket, terms.variables.get(S3_CREDENTIALS))
    vault = opened_vault(terms, objects, voice.warn)
    is_main = terms.node_rank == 0
    began_s = time.monotonic()
    step = bring(terms, vault) if is_main else bring_beside(terms, vault)
    seconds = time.monotonic() - began_s
    voice.say("no checkpoint yet" if step is None else f"step {step} is here, in {seconds:.1f} s")
    signals.note_only()
    program = Program(terms.command, _variables(terms, bringing_seconds=seconds))
    program.forward_signals()
    if signals.received is not None:
        program.send(signals.received)
    if not is_main:
        return _beside(program, voice)
    sender = Sender(vault, requests, voice, end=program.end)
    if step is not None:
        sender.sent.add(step)
    return _carried(terms, program, vault, sender, voice)


def _carried(terms: Terms, program: Program, vault: Vault, sender: Sender, voice: Voice) -> int:
    watch = Watch(terms, sender, voice)
    listener = Listener(program.stdout, voice, saved=watch.told, evaluated=sender.note_validation)
    while (code := program.wait(_LOOK_SECONDS)) is None:
        watch.look()
    listener.finish(seconds=_REST_SECONDS)
    sender.finish()
    if sender.unforeseen is not None:
        raise sender.unforeseen
    settled = None if sender.is_fenced_off else _settled(terms, code, vault, watch)
    fault = settled or sender.fault
    final = ending.exit_code(
        code, fault, environment=terms.environment, told_to_leave=program.was_told_to_leave
    )
    if fault is not None:
        voice.say(str(fault))
    ending.tell(terms.environment, voice, listener.last_words, fault if final != code else None)
    return final


def _settled(terms: Terms, code: int, vault: Vault, watch: Watch) -> ContractFault | None:
    """Sends what the program left at last, checkpoint and documents; why that failed."""
    try:
        fault = watch.send_last()
        if fault is None:
            vault.send_documents()
    except OSError as error:
        # As with our own trainer: the checkpoint is safe, and the next attempt makes up for the rest.
        return storage_fault(terms.folder, error) if code == ExitCode.DONE else None
    except ContractFault as fault_of_another:
        return fault_of_another
    return fault


def _beside(program: Program, voice: Voice) -> int:
    """A pod of another rank: what it says is passed on but for checkpoints, which are rank 0's to tell of."""
    listener = Listener(
        program.stdout, voice, saved=lambda _report: None, evaluated=lambda _step, _loss: None
    )
    while (code := program.wait(_LOOK_SECONDS)) is None:
        continue
    listener.finish(seconds=_REST_SECONDS)
    for report in listener.last_words:
        voice.report(report)
    return code


def _variables(terms: Terms, *, bringing_seconds: float) -> dict[str, str]:
    """What the program is told: as we are, but that its time ends earlier, for its last checkpoint has to be sent then."""
    variables = dict(terms.variables)
    stop_after = terms.environment.stop_after_seconds
    if stop_after is not None:
        # What was brought is read once; what is sent is written and read back.
        sending = max(_LEAST_SENDING_SECONDS, 2 * bringing_seconds)
        left = stop_after - seconds_since_process_start() - sending
        variables[STOP_AFTER_SECONDS] = str(max(0, int(left)))
    return variables
