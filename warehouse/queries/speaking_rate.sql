-- How fast does each corpus speak, and how long are its pauses (of aligned utterances)?
WITH utterance AS (
    SELECT w.corpus, w.segment_id, count(*) AS words, max(w."end") - min(w."start") AS seconds,
           sum(w.duration) AS spoken, count(*) FILTER (w.pause_before >= 0.15) AS pauses,
           avg(w.confidence) AS confidence
    FROM words w
    GROUP BY ALL
), pause AS (
    SELECT corpus, round(median(pause_before), 2) AS median_pause, round(max(pause_before), 2) AS longest_pause
    FROM words WHERE pause_before >= 0.15 GROUP BY corpus
)
SELECT
    u.corpus,
    count(*) AS utterances,
    sum(u.words) AS words,
    round(sum(u.words) / sum(u.seconds), 2) AS words_per_second,
    round(sum(u.words) / sum(u.spoken), 2) AS words_per_spoken_second,
    round(60 * sum(u.pauses) / sum(u.seconds), 1) AS pauses_per_minute,
    any_value(p.median_pause) AS median_pause,
    any_value(p.longest_pause) AS longest_pause,
    round(avg(u.confidence), 3) AS mean_confidence
FROM utterance u
LEFT JOIN pause p USING (corpus)
GROUP BY u.corpus
ORDER BY u.corpus;
