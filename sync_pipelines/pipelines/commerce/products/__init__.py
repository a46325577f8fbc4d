"""Products: what the shop sells, and the product variants and templates of the ERP."""
