"""From when it holds a node, whatever its kubelet, its image and its program make of that."""

from lightcompute.testing.builders import at
from support.kube_builders import a_job, a_pod
from support.seen_attempts import child_seen


def test_a_pod_costs_from_when_it_was_given_a_node_and_not_from_when_its_kubelet_saw_it() -> None:
    pod = a_pod().on_node_without_scheduler(40).scheduled(3)
    assert child_seen(pod, job=a_job()).start_time == at(3)


def test_a_pod_costs_while_its_image_is_fetched() -> None:
    fetching = a_pod().scheduled(3).waiting("ContainerCreating")
    assert child_seen(fetching, job=a_job()).start_time == at(3)
    runs = a_pod().scheduled(3).running(90)
    child = child_seen(runs, job=a_job())
    assert (child.start_time, child.began_time) == (at(3), at(90))


def test_pods_that_wait_for_the_others_cost() -> None:
    job = a_job().for_ranks(3)
    ranks = (a_pod(0).scheduled(20), a_pod(1).scheduled(5), a_pod(2).unscheduled("full"))
    assert child_seen(*ranks, job=job).start_time == at(5)
    assert child_seen(ranks[0], job=job, departed=(ranks[1],)).start_time == at(5)
