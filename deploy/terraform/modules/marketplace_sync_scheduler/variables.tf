variable "project_id" {
  description = "Project of the scheduler's job."
  type        = string
}

variable "region" {
  description = "Region of the scheduler's job, such as europe-west1."
  type        = string
}

variable "job_name" {
  description = "Name of the job. The service tells repeated calls by it, so a new name begins anew."
  type        = string
  default     = "marketplace-sync-scheduler"
}

variable "schedule_cron" {
  description = "When to sync, as unix-cron. Only such schedules have a time by which repeated calls are told."
  type        = string
  default     = "*/15 * * * *"
}

variable "time_zone" {
  description = "Time zone of the schedule."
  type        = string
  default     = "Etc/UTC"
}

variable "service_account_email" {
  description = "Service account whose token the job shows. The service knows it as one of SCHEDULER_SERVICE_ACCOUNTS."
  type        = string

  validation {
    condition     = can(regex("^[^@]+@[^@]+$", var.service_account_email))
    error_message = "The service account is given by its e-mail address."
  }
}

variable "sync_endpoint_url" {
  description = "Full URL of the endpoint."
  type        = string

  validation {
    condition     = can(regex("^https://[^/?#]+/api/sync/scheduler$", var.sync_endpoint_url))
    error_message = "The URL begins with https:// and ends with /api/sync/scheduler."
  }
}

variable "audience" {
  description = "Audience of the token, SCHEDULER_AUDIENCE of the service; the endpoint's full URL unless given."
  type        = string
  default     = null
}

variable "scheduler_secret" {
  description = "Shared secret: SCHEDULER_SECRET of the service. Given as TF_VAR_scheduler_secret, never in a file. It is in Terraform's state."
  type        = string
  sensitive   = true

  validation {
    condition     = length(var.scheduler_secret) >= 16
    error_message = "The secret has 16 characters or more."
  }
}

variable "retry_config" {
  description = "How calls that failed are repeated. The service answers in milliseconds; what it did not take is worth a few more tries."
  type = object({
    retry_count          = optional(number, 3)
    min_backoff_duration = optional(string, "30s")
    max_backoff_duration = optional(string, "300s")
    max_retry_duration   = optional(string, "600s")
    max_doublings        = optional(number, 5)
  })
  default = {}

  validation {
    condition     = var.retry_config.retry_count >= 0 && var.retry_config.retry_count <= 5
    error_message = "Cloud Scheduler repeats a call at most five times."
  }
}

variable "attempt_deadline" {
  description = "How long one call may take, from 15s to 1800s."
  type        = string
  default     = "30s"
}

variable "cloud_run_service" {
  description = "Name of the Cloud Run service behind the endpoint, for the right to call it; null where it runs elsewhere."
  type        = string
  default     = null
}

variable "cloud_run_location" {
  description = "Location of that service; the job's region unless given."
  type        = string
  default     = null
}
