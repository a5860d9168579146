-- How many hours does each corpus hold, and how many of them became utterances?
-- Speech that a model under evaluation made is no corpus and is left out.
WITH recorded AS (
    SELECT corpus, count(*) AS recordings, sum(coalesce(duration, 0)) / 3600 AS recorded_hours
    FROM current_recordings
    WHERE origin <> 'generated'
    GROUP BY corpus
),
speech AS (
    SELECT corpus, count(*) AS segments, sum(duration) / 3600 AS speech_hours
    FROM current_segments
    WHERE drop_reason IS NULL
    GROUP BY corpus
),
usable AS (
    SELECT corpus, count(*) AS utterances, count(DISTINCT speaker) AS speakers, sum(duration) / 3600 AS usable_hours
    FROM utterances
    GROUP BY corpus
)
SELECT
    corpus,
    recordings,
    round(recorded_hours, 4) AS recorded_hours,
    coalesce(segments, 0) AS segments,
    round(coalesce(speech_hours, 0), 4) AS speech_hours,
    coalesce(utterances, 0) AS utterances,
    coalesce(speakers, 0) AS speakers,
    round(coalesce(usable_hours, 0), 4) AS usable_hours,
    round(coalesce(usable_hours, 0) / nullif(recorded_hours, 0), 4) AS usable_share
FROM recorded
LEFT JOIN speech USING (corpus)
LEFT JOIN usable USING (corpus)
ORDER BY usable_hours DESC, corpus;
