-- Which training sets are there, what is in them, and which checkpoints were trained on them?
WITH sets AS (
    SELECT
        training_set,
        count(*) AS utterances,
        round(sum(duration) / 3600, 4) AS hours,
        round(coalesce(sum(duration) FILTER (WHERE split = 'train'), 0) / 3600, 4) AS train_hours,
        count(DISTINCT speaker) AS speakers,
        list(DISTINCT corpus ORDER BY corpus) AS corpora,
        list(DISTINCT language ORDER BY language) AS languages,
        list(DISTINCT licence ORDER BY licence) AS licences
    FROM training_items
    GROUP BY training_set
),
trained AS (
    SELECT training_set, count(*) AS checkpoints, max(saved_at) AS newest_checkpoint_at, max(step) AS largest_step
    FROM checkpoints
    GROUP BY training_set
)
SELECT sets.*, coalesce(checkpoints, 0) AS checkpoints, largest_step, newest_checkpoint_at
FROM sets
LEFT JOIN trained USING (training_set)
ORDER BY training_set;
