"""Who may do what with the operational tables: declared once, written as SQL and as a page, and linted."""
