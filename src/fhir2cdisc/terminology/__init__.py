"""Codelists, concept maps and value sets."""
