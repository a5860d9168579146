-- Which licences do the items of each training set have, in the set and in the recordings they were cut from?
-- A licence that neither column names is not in the set; items of an unknown recording have a null there.
SELECT
    i.training_set,
    i.split,
    i.corpus,
    i.licence,
    r.licence AS recorded_licence,
    count(*) AS items,
    count(DISTINCT i.recording_id) AS recordings,
    round(sum(i.duration) / 3600, 4) AS hours
FROM training_items i
LEFT JOIN current_recordings r USING (recording_id)
GROUP BY ALL
ORDER BY i.training_set, i.split, i.corpus, i.licence, recorded_licence;
