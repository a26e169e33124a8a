"""What a person looks at: figures, the report page of a run, and a truth beside its answer."""
