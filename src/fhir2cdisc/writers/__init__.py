"""From memory to files: XPT, Dataset-JSON, Parquet, CSV, define.xml, guides."""
