output "service_environment" {
  description = "Variables for the service."
  value       = module.marketplace_sync_scheduler.service_environment
}
