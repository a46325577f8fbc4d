output "job_id" {
  description = "Full name of the scheduler's job."
  value       = google_cloud_scheduler_job.marketplace_sync.id
}

output "service_environment" {
  description = "What the service has to be told to let this job in, besides SCHEDULER_SECRET."
  value = {
    SCHEDULER_AUTH             = "oidc_and_secret"
    SCHEDULER_AUDIENCE         = local.audience
    SCHEDULER_SERVICE_ACCOUNTS = var.service_account_email
  }
}
