"""Commerce: customers, products, stock and orders of a WooCommerce shop and an Odoo database, kept equal two ways."""
