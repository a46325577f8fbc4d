locals {
  audience = coalesce(var.audience, var.sync_endpoint_url)
}

resource "google_cloud_scheduler_job" "marketplace_sync" {
  project          = var.project_id
  region           = var.region
  name             = var.job_name
  description      = "Starts a sync cycle of all marketplaces"
  schedule         = var.schedule_cron
  time_zone        = var.time_zone
  attempt_deadline = var.attempt_deadline

  retry_config {
    retry_count          = var.retry_config.retry_count
    min_backoff_duration = var.retry_config.min_backoff_duration
    max_backoff_duration = var.retry_config.max_backoff_duration
    max_retry_duration   = var.retry_config.max_retry_duration
    max_doublings        = var.retry_config.max_doublings
  }

  http_target {
    http_method = "POST"
    uri         = var.sync_endpoint_url

    # The scheduler fills in no templates: the time is told in a header of its own.
    body = base64encode(jsonencode({ source = "cloud-scheduler", triggerType = "scheduled" }))

    headers = {
      "Content-Type"       = "application/json"
      "x-scheduler-secret" = var.scheduler_secret
    }

    oidc_token {
      service_account_email = var.service_account_email
      audience              = local.audience
    }
  }
}

# A member and no binding: a binding would take the right from everybody else who has it.
resource "google_cloud_run_v2_service_iam_member" "invoker" {
  count = var.cloud_run_service == null ? 0 : 1

  project  = var.project_id
  location = coalesce(var.cloud_run_location, var.region)
  name     = var.cloud_run_service
  role     = "roles/run.invoker"
  member   = "serviceAccount:${var.service_account_email}"
}
