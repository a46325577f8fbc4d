variable "project_id" {
  description = "Google Cloud project."
  type        = string
}

variable "region" {
  description = "Region of the scheduler and of the service."
  type        = string
  default     = "europe-west1"
}

variable "service_url" {
  description = "URL of the service without a slash at its end, such as https://sync-abc123-ew.a.run.app."
  type        = string
}

variable "cloud_run_service" {
  description = "Name of the Cloud Run service."
  type        = string
}

variable "scheduler_secret" {
  description = "Shared secret, from TF_VAR_scheduler_secret."
  type        = string
  sensitive   = true
}
