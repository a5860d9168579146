-- How fast did each stage of each run go (seconds of audio per second, per worker and overall)?
SELECT
    stage,
    run_id,
    corpus,
    min(started_at) AS started_at,
    count(*) AS shards,
    sum(rows_in)::BIGINT AS rows_in,
    sum(rows_out)::BIGINT AS rows_out,
    sum(rows_dropped)::BIGINT AS rows_dropped,
    round(sum(audio_seconds) / 3600, 4) AS audio_hours,
    round(sum(wall_seconds), 2) AS worker_seconds,
    round(epoch(max(started_at + to_microseconds(cast(wall_seconds * 1e6 AS BIGINT))) - min(started_at)), 2)
        AS elapsed_seconds,
    round(sum(audio_seconds) / nullif(sum(wall_seconds), 0), 2) AS speed_per_worker,
    round(
        sum(audio_seconds)
        / nullif(epoch(max(started_at + to_microseconds(cast(wall_seconds * 1e6 AS BIGINT))) - min(started_at)), 0),
        2
    ) AS speed_overall
FROM runs
GROUP BY stage, run_id, corpus
ORDER BY started_at, stage, corpus;
