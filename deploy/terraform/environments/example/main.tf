terraform {
  required_version = ">= 1.3"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 5.0, < 8.0"
    }
  }
}

provider "google" {
  project = var.project_id
  region  = var.region
}

resource "google_service_account" "scheduler" {
  account_id   = "marketplace-sync-scheduler"
  display_name = "Calls the marketplace sync endpoint"
}

module "marketplace_sync_scheduler" {
  source = "../../modules/marketplace_sync_scheduler"

  project_id            = var.project_id
  region                = var.region
  schedule_cron         = "*/15 * * * *"
  service_account_email = google_service_account.scheduler.email
  sync_endpoint_url     = "${var.service_url}/api/sync/scheduler"
  scheduler_secret      = var.scheduler_secret
  cloud_run_service     = var.cloud_run_service

  retry_config = {
    retry_count = 3
  }
}
