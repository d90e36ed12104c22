"""One file per analysis dataset: what it needs, how it is derived, what each variable is."""
