"""The journal by day, in Parquet, and questions to both."""
