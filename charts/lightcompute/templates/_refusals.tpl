{{/* What cannot work is refused before anything is changed. `lookup` finds nothing where there is no cluster (`helm template`). */}}
{{- define "lightcompute.refusals" -}}
{{- $release := printf "%s/%s" .Release.Namespace .Release.Name -}}
{{- if and .Values.crds.enabled (not .Values.allowSecondOperator) -}}
{{- range $path, $_ := .Files.Glob "files/crds/*.yaml" -}}
{{- $crd := printf "%s.lightcompute.dev" (base $path | trimSuffix ".yaml") -}}
{{- $there := lookup "apiextensions.k8s.io/v1" "CustomResourceDefinition" "" $crd -}}
{{- if $there -}}
{{- $owner := include "lightcompute.ownerOf" $there -}}
{{- if ne $owner $release -}}
{{- $hand := printf "kubectl annotate crd %s --overwrite meta.helm.sh/release-name=%s meta.helm.sh/release-namespace=%s && kubectl label crd %s --overwrite app.kubernetes.io/managed-by=Helm" $crd $.Release.Name $.Release.Namespace $crd -}}
{{- fail (printf "\n\nThe CustomResourceDefinition %s exists already and belongs to %s. Use it as it is with --set crds.enabled=false, or hand it over to this release:\n  %s\n" $crd (default "no release of Helm" $owner) $hand) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if not .Values.allowSecondOperator -}}
{{- $everywhere := (lookup "rbac.authorization.k8s.io/v1" "ClusterRole" "" "").items | default list -}}
{{- $within := list -}}
{{- if .Values.watchNamespaces -}}
{{- range .Values.watchNamespaces -}}
{{- $within = concat $within ((lookup "rbac.authorization.k8s.io/v1" "Role" . "").items | default list) -}}
{{- end -}}
{{- else -}}
{{- $within = (lookup "rbac.authorization.k8s.io/v1" "Role" "" "").items | default list -}}
{{- end -}}
{{- range concat $everywhere $within -}}
{{- if eq (dig "metadata" "labels" "lightcompute.dev/operator" "" .) "looks-after-runs" -}}
{{- $owner := include "lightcompute.ownerOf" . -}}
{{- if ne $owner $release -}}
{{- $where := default "all namespaces" (dig "metadata" "namespace" "" .) -}}
{{- fail (printf "\n\nThe release %s looks after the TrainingRuns of %s already, and two operators must not look after the same runs. Upgrade that one, uninstall it, or give each its own namespaces with watchNamespaces (and crds.enabled=false for the second).\n" (default "of somebody" $owner) $where) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* NAMESPACE/NAME of the release that an object belongs to; empty where it belongs to none. */}}
{{- define "lightcompute.ownerOf" -}}
{{- $name := dig "metadata" "annotations" "meta.helm.sh/release-name" "" . -}}
{{- if $name -}}
{{- printf "%s/%s" (dig "metadata" "annotations" "meta.helm.sh/release-namespace" "" .) $name -}}
{{- end -}}
{{- end -}}
