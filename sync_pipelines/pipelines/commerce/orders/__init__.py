"""Orders: the shop takes them, the ERP delivers and invoices them."""
