"""Everything that is kept: the lake (Parquet, the truth), the warehouse and the published file
(DuckDB, made from it). The only room that knows DuckDB."""
