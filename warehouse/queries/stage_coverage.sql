-- How many segments of each corpus have passed each stage, and how many were dropped by it?
WITH outcomes AS (
    SELECT corpus, 'transcribe' AS stage, drop_reason FROM current_transcripts
    UNION ALL
    SELECT corpus, 'phonemize' AS stage, drop_reason FROM current_phonemes
    UNION ALL
    SELECT corpus, 'quality' AS stage, drop_reason FROM current_quality
    UNION ALL
    SELECT corpus, 'speakers' AS stage, drop_reason FROM current_speakers
    UNION ALL
    SELECT corpus, 'quantize' AS stage, drop_reason FROM current_codes
),
current_counts AS (
    SELECT corpus, count(*) AS segments
    FROM current_segments
    WHERE drop_reason IS NULL
    GROUP BY corpus
)
SELECT
    corpus,
    stage,
    segments,
    count(*) FILTER (WHERE drop_reason IS NULL) AS passed,
    count(drop_reason) AS dropped,
    round(count(*) / segments, 4) AS share_done
FROM outcomes
JOIN current_counts USING (corpus)
GROUP BY corpus, stage, segments
ORDER BY corpus, list_position(['transcribe', 'phonemize', 'quality', 'speakers', 'quantize'], stage);
