{{- define "sealpost.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "sealpost.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains (include "sealpost.name" .) .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "sealpost.name" .) | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "sealpost.selector" -}}
app.kubernetes.io/name: {{ include "sealpost.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "sealpost.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "sealpost.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "sealpost.metadata" -}}
name: {{ include "sealpost.fullname" . }}
namespace: {{ .Release.Namespace }}
labels:
  {{- include "sealpost.labels" . | nindent 2 }}
{{- end -}}

{{/* The ports of the container that clients connect to. */}}
{{- define "sealpost.ports" -}}
- name: smtp
  containerPort: 2525
{{- if .Values.tlsSecret }}
- name: submission
  containerPort: 2587
- name: submissions
  containerPort: 2465
{{- end }}
{{- end -}}
