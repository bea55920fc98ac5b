"""The pipeline as Dagster runs and shows it. Each scenario is processes of its own: what partitions
there are is read from the environment when the definitions are imported."""
