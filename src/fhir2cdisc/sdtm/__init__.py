"""What SDTM says: datasets, variables, controlled terms, and the checks that follow."""
