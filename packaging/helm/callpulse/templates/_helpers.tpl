{{- define "callpulse.name" -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "callpulse.labels" -}}
app.kubernetes.io/name: callpulse
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "callpulse.selector" -}}
app.kubernetes.io/name: callpulse
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "callpulse.address" -}}
{{- if .Values.users.secretName -}}0.0.0.0{{- else -}}127.0.0.1{{- end -}}
{{- end -}}
