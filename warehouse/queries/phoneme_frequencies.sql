-- How often does each phoneme occur in each language, and in how many utterances?
WITH occurrences AS (
    SELECT coalesce(language, 'unknown') AS language, segment_id, unnest(symbols) AS symbol
    FROM current_phonemes
    WHERE drop_reason IS NULL
)
SELECT
    language,
    symbol,
    count(*) AS occurrences,
    round(count(*) / sum(count(*)) OVER (PARTITION BY language), 6) AS share,
    count(DISTINCT segment_id) AS utterances
FROM occurrences
GROUP BY language, symbol
ORDER BY language, occurrences DESC, symbol;
