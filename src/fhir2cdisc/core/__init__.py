"""The vocabulary of the conversion: paths, columns, mappings, datasets, issues, the ledger."""
