-- Which checkpoint, training set, corpora and licences is each score based on?
WITH scored AS (
    SELECT
        evaluation,
        protocol,
        system,
        checkpoint_id,
        normaliser,
        count(*) AS scores,
        round(100.0 * sum(word_errors) / sum(num_words), 3) AS wer_micro,
        round(avg(CASE WHEN path IS NULL THEN 0 ELSE cast(sim_o AS DOUBLE) END), 4) AS sim_o
    FROM scores
    WHERE checkpoint_id IS NOT NULL
    GROUP BY ALL
)
SELECT
    scored.evaluation,
    scored.protocol,
    scored.system,
    scored.normaliser,
    scored.scores,
    scored.wer_micro,
    scored.sim_o,
    scored.checkpoint_id,
    checkpoints.run_id,
    checkpoints.step,
    checkpoints.codec,
    checkpoints.training_set,
    training_items.corpus,
    training_items.licence,
    count(training_items.segment_id) AS utterances,
    round(sum(training_items.duration) / 3600, 4) AS train_hours
FROM scored
LEFT JOIN checkpoints USING (checkpoint_id)
LEFT JOIN training_items ON training_items.training_set = checkpoints.training_set AND training_items.split = 'train'
GROUP BY ALL
ORDER BY scored.evaluation, scored.system, scored.normaliser, training_items.corpus, training_items.licence;
