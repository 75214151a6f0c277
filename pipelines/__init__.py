"""The Dagster side, thin: the only place that composes writes, each of them an asset of a recorded run.

definitions   what Dagster loads: assets, checks and jobs of the project it is started in
ingest        sources -> archive and repository
build         repository -> signals, SQL models, gate, published snapshot
report        published snapshot -> one page of pictures and verdicts
export        published snapshot -> releases of data sets
costs         what each asset used
run           the same runs, from the command line
"""
