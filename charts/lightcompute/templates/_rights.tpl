{{/* The rights of the operator where runs are: each rule with what it is for. docs/operations.md says the same to people. */}}
{{- define "lightcompute.rights" -}}
# Runs are listed and watched, and read anew after a conflict. The finalizer that holds a run until it is charged is patched in and out;
# a run whose time to live is over is deleted.
- apiGroups: [lightcompute.dev]
  resources: [trainingruns]
  verbs: [get, list, watch, patch, delete]
# Decisions are recorded.
- apiGroups: [lightcompute.dev]
  resources: [trainingruns/status]
  verbs: [update]
# What runs may cost together is read, and what they cost is told and remembered.
- apiGroups: [lightcompute.dev]
  resources: [trainingbudgets]
  verbs: [get, list, watch]
- apiGroups: [lightcompute.dev]
  resources: [trainingbudgets/status]
  verbs: [update]
# Clusters that check it ask this of whoever makes an object that keeps its owner from being deleted before it.
- apiGroups: [lightcompute.dev]
  resources: [trainingruns/finalizers]
  verbs: [update]
# An attempt is a Job: made, watched, asked for before its end is believed, held or given another deadline, and removed.
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, patch, delete]
# Pods are watched; what people want of a trainer is noted on its pod; what does not leave in time, and what has lost its Job, is deleted.
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch, patch, delete]
# Progress is read from the trainer's log.
- apiGroups: [""]
  resources: [pods/log]
  verbs: [get]
# The order that a trainer is given: made, recognised as ours, removed.
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, create, delete]
# The names by which ranks and TensorBoard are reached: the same, and watched, so that the curves of what runs can be reached.
- apiGroups: [""]
  resources: [services]
  verbs: [get, list, watch, create, delete]
# Whether the claims that a run names exist, before anything is started.
- apiGroups: [""]
  resources: [persistentvolumeclaims]
  verbs: [get]
# What is told of runs; and what the cluster told of pods that do not begin.
- apiGroups: [""]
  resources: [events]
  verbs: [list, create, patch]
{{- end -}}

{{/* What TrainingClusters need beside that, over the whole cluster. */}}
{{- define "lightcompute.clusterRights" -}}
# Which clusters there are.
- apiGroups: [lightcompute.dev]
  resources: [trainingclusters]
  verbs: [get, list, watch]
# What is seen of them is told.
- apiGroups: [lightcompute.dev]
  resources: [trainingclusters/status]
  verbs: [update]
# Which cluster this is: the UID of a namespace that every cluster has.
- apiGroups: [""]
  resources: [namespaces]
  resourceNames: [kube-system]
  verbs: [get]
# What is free in this cluster, where it is a place for runs itself.
- apiGroups: [""]
  resources: [nodes, pods]
  verbs: [list, watch]
{{- end -}}

{{/* Marks the roles by which another release sees that somebody looks after a namespace. */}}
{{- define "lightcompute.mark" -}}
lightcompute.dev/operator: looks-after-runs
{{- end -}}
