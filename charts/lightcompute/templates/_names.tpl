{{/* Names and labels, the same in every template. */}}

{{- define "lightcompute.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Objects without a namespace carry ours in their name, so that releases in several namespaces never share one. */}}
{{- define "lightcompute.clusterName" -}}
{{- printf "%s:%s" .Release.Namespace (include "lightcompute.fullname" .) -}}
{{- end -}}

{{- define "lightcompute.serviceAccount" -}}
{{- default (ternary (include "lightcompute.fullname" .) "default" .Values.serviceAccount.create) .Values.serviceAccount.name -}}
{{- end -}}

{{/* The Lease is named after the release too: two in one namespace look after different namespaces. */}}
{{- define "lightcompute.lease" -}}
{{- include "lightcompute.fullname" . -}}
{{- end -}}

{{/* What never changes of a release. A run's pods have the first two as well, with the run's name for the instance's: the third tells them apart. */}}
{{- define "lightcompute.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end -}}

{{- define "lightcompute.labels" -}}
{{ include "lightcompute.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* An image by digest where one is given, else by tag. Takes (list root image). */}}
{{- define "lightcompute.image" -}}
{{- $root := index . 0 -}}
{{- $image := index . 1 -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $image.repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $image.repository (default $root.Chart.AppVersion $image.tag) -}}
{{- end -}}
{{- end -}}
