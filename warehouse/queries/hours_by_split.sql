-- How many hours and speakers does each split of each training set hold?
SELECT
    training_set,
    split,
    count(*) AS utterances,
    round(sum(duration) / 3600, 4) AS hours,
    round(sum(duration * weight) / 3600, 4) AS weighted_hours,
    count(DISTINCT speaker) AS speakers,
    count(DISTINCT recording_id) AS recordings
FROM training_items
GROUP BY ALL
ORDER BY training_set, hours DESC, split;
