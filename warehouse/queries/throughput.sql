-- How fast was each stage of each run (seconds of audio per second, per worker and overall)?
WITH per_run AS (
    SELECT
        stage,
        run_id,
        corpus,
        min(started_at) AS started_at,
        count(*) AS shards,
        sum(rows_in)::BIGINT AS rows_in,
        sum(rows_out)::BIGINT AS rows_out,
        sum(rows_dropped)::BIGINT AS rows_dropped,
        sum(audio_seconds) AS audio_seconds,
        sum(wall_seconds) AS worker_seconds,
        max(epoch(started_at) + wall_seconds) - min(epoch(started_at)) AS elapsed_seconds
    FROM shard_runs
    GROUP BY stage, run_id, corpus
)
SELECT
    stage,
    run_id,
    corpus,
    started_at,
    shards,
    rows_in,
    rows_out,
    rows_dropped,
    round(audio_seconds / 3600, 4) AS audio_hours,
    round(worker_seconds, 2) AS worker_seconds,
    round(elapsed_seconds, 2) AS elapsed_seconds,
    round(audio_seconds / nullif(worker_seconds, 0), 2) AS speed_per_worker,
    round(audio_seconds / nullif(elapsed_seconds, 0), 2) AS speed_overall
FROM per_run
ORDER BY started_at, stage, corpus;
