-- Which are the ten longest and the ten shortest utterances of each corpus?
WITH ranked AS (
    SELECT
        corpus,
        segment_id,
        speaker,
        duration,
        text,
        round(length(text) / nullif(duration, 0), 2) AS characters_per_second,
        row_number() OVER (PARTITION BY corpus ORDER BY duration DESC, segment_id) AS longest_rank,
        row_number() OVER (PARTITION BY corpus ORDER BY duration, segment_id) AS shortest_rank
    FROM utterances
)
SELECT corpus, 'longest' AS extreme, longest_rank AS place, round(duration, 3) AS duration,
    characters_per_second, speaker, segment_id, text
FROM ranked
WHERE longest_rank <= 10
UNION ALL
SELECT corpus, 'shortest' AS extreme, shortest_rank AS place, round(duration, 3) AS duration,
    characters_per_second, speaker, segment_id, text
FROM ranked
WHERE shortest_rank <= 10
ORDER BY corpus, extreme, place;
