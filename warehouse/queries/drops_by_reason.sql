-- Which rows were dropped, at which stage, for which reason, with one example?
SELECT
    stage,
    corpus,
    drop_reason,
    count(*) AS rows_dropped,
    round(sum(coalesce(duration, 0)) / 3600, 4) AS hours,
    min(id) AS example_id,
    arg_min(drop_detail, id) AS example_detail
FROM drops
GROUP BY ALL
ORDER BY hours DESC, rows_dropped DESC, stage, corpus, drop_reason;
