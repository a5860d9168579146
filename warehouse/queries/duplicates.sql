-- Which recordings are the same bytes under several names?
SELECT
    content_hash,
    count(*) AS copies,
    round(any_value(duration), 3) AS duration,
    list(DISTINCT corpus ORDER BY corpus) AS corpora,
    list(recording_id ORDER BY recording_id) AS recording_ids
FROM current_recordings
WHERE drop_reason IS NULL OR drop_reason = 'duplicate'
GROUP BY content_hash, channel
HAVING count(*) > 1
ORDER BY copies DESC, content_hash;
